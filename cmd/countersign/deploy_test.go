package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// deployed reads a file of .github/deploy.
func deployed(name string) string { return read(filepath.Join("..", "..", ".github", "deploy", name)) }

// servable reports what serve would not understand: flags by parsing them as it
// does, variables by watching which it asks for.
func servable(t *testing.T, args []string, env map[string]string) {
	t.Helper()
	asked := map[string]bool{}
	c := console{out: io.Discard, err: io.Discard, env: func(name string) string { asked[name] = true; return "" }}
	if len(args) == 0 || args[0] != "serve" {
		t.Fatalf("it does not serve: %q", args)
	}
	s, err := readSetup(flags(c, "serve", "", ""), args[1:], c)
	if err != nil {
		t.Fatal(err)
	}
	if s.repo == "" || !filepath.IsAbs(s.dataDir) {
		t.Errorf("repository %q, data in %q", s.repo, s.dataDir)
	}
	for name, value := range env {
		if !asked[name] {
			t.Errorf("serve knows no %s", name)
		}
		if !strings.HasSuffix(name, "_FILE") || !strings.Contains(value, "/") {
			t.Errorf("%s=%s is no file", name, value)
		}
	}
	for _, name := range []string{"SLACK_BOT_TOKEN_FILE", "SLACK_APP_TOKEN_FILE"} {
		if env[name] == "" {
			t.Errorf("%s is missing, without which nothing is served", name)
		}
	}
}

// TestServiceUnit: the unit says what serve understands, every credential that it
// names is loaded, and systemd finds nothing wrong where there is one.
func TestServiceUnit(t *testing.T) {
	t.Parallel()
	section, unit := "", map[string][]string{}
	for line := range strings.Lines(deployed("countersign.service")) {
		switch line = strings.TrimSpace(line); {
		case line == "" || line[0] == '#':
		case line[0] == '[':
			section = strings.Trim(line, "[]")
		default:
			key, value, ok := strings.Cut(line, "=")
			if !ok || section == "" {
				t.Fatalf("no setting: %q", line)
			}
			unit[section+"."+key] = append(unit[section+"."+key], value)
		}
	}
	loaded := map[string]bool{}
	for _, l := range unit["Service.LoadCredential"] {
		name, _, _ := strings.Cut(l, ":")
		loaded[name] = true
	}
	env := map[string]string{}
	for _, pair := range unit["Service.Environment"] {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
		if credential, ok := strings.CutPrefix(value, "%d/"); !ok || !loaded[credential] {
			t.Errorf("%s is no credential that is loaded", pair)
		}
	}
	if len(loaded) != len(env) {
		t.Errorf("%d credentials are loaded, %d used", len(loaded), len(env))
	}
	command := strings.Fields(strings.ReplaceAll(strings.Join(unit["Service.ExecStart"], ""), "${STATE_DIRECTORY}", "/var/lib/countersign"))
	servable(t, command[1:], env)
	for _, key := range []string{"DynamicUser", "NoNewPrivileges", "PrivateTmp", "MemoryDenyWriteExecute"} {
		if !slices.Equal(unit["Service."+key], []string{"yes"}) {
			t.Errorf("%s=%v", key, unit["Service."+key])
		}
	}
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("there is no systemd here to ask")
	}
	file := filepath.Join(t.TempDir(), "countersign.service")
	if err := os.WriteFile(file, []byte(strings.Replace(deployed("countersign.service"), command[0], "/bin/sh", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	if out := output(t, ".", "systemd-analyze", "verify", file); strings.Contains(out, file) {
		t.Error(out)
	}
}

// The parts of the manifests. What stands there and not here is a mistake.
type (
	manifest struct {
		APIVersion string `yaml:"apiVersion"`
		Kind       string
		Metadata   struct {
			Name, Namespace string
			Labels          map[string]string
		}
		Spec yaml.Node
	}
	labels     map[string]map[string]string
	deployment struct {
		Replicas int
		Strategy struct{ Type string }
		Selector labels
		Template struct {
			Metadata labels
			Spec     podSpec
		}
	}
	podSpec struct {
		AutomountServiceAccountToken bool           `yaml:"automountServiceAccountToken"`
		EnableServiceLinks           bool           `yaml:"enableServiceLinks"`
		SecurityContext              map[string]any `yaml:"securityContext"`
		Containers                   []container
		Volumes                      []map[string]any
	}
	container struct {
		Name, Image     string
		Args            []string
		Env             []struct{ Name, Value string }
		Ports           []map[string]any
		Liveness        probe `yaml:"livenessProbe"`
		Readiness       probe `yaml:"readinessProbe"`
		Startup         probe `yaml:"startupProbe"`
		Resources       map[string]map[string]string
		SecurityContext struct {
			Escalation   bool                `yaml:"allowPrivilegeEscalation"`
			ReadOnlyRoot bool                `yaml:"readOnlyRootFilesystem"`
			Capabilities map[string][]string `yaml:"capabilities"`
		} `yaml:"securityContext"`
		Mounts []mount `yaml:"volumeMounts"`
	}
	mount struct {
		Name     string
		ReadOnly bool   `yaml:"readOnly"`
		Path     string `yaml:"mountPath"`
	}
	probe struct {
		Get              struct{ Path, Port string } `yaml:"httpGet"`
		PeriodSeconds    int                         `yaml:"periodSeconds"`
		TimeoutSeconds   int                         `yaml:"timeoutSeconds"`
		FailureThreshold int                         `yaml:"failureThreshold"`
	}
)

// manifests reads them all, strictly.
func manifests(t *testing.T) (byKind map[string]manifest, d deployment) {
	t.Helper()
	byKind = map[string]manifest{}
	dec := yaml.NewDecoder(strings.NewReader(deployed("kubernetes.yaml")))
	dec.KnownFields(true)
	for {
		var m manifest
		err := dec.Decode(&m)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		byKind[m.Kind] = m
	}
	spec := byKind["Deployment"].Spec
	text, err := yaml.Marshal(&spec)
	if err != nil {
		t.Fatal(err)
	}
	dec = yaml.NewDecoder(strings.NewReader(string(text)))
	dec.KnownFields(true) // which Node.Decode does not know
	if err := dec.Decode(&d); err != nil {
		t.Fatal(err)
	}
	return byKind, d
}

// TestKubernetes: the manifests say what serve understands, one bot at a time, as
// nobody in particular, and every file that a variable names is mounted.
func TestKubernetes(t *testing.T) {
	t.Parallel()
	all, d := manifests(t)
	for _, kind := range []string{"Namespace", "PersistentVolumeClaim", "Deployment", "NetworkPolicy"} {
		if m := all[kind]; m.Metadata.Name != "countersign" || kind != "Namespace" && m.Metadata.Namespace != "countersign" {
			t.Errorf("%s: %+v", kind, m.Metadata)
		}
	}
	pod := d.Template.Spec
	if d.Replicas != 1 || d.Strategy.Type != "Recreate" || len(pod.Containers) != 1 {
		t.Fatalf("there can be two bots: %d, %s", d.Replicas, d.Strategy.Type)
	}
	c := pod.Containers[0]
	if pod.AutomountServiceAccountToken || pod.SecurityContext["runAsNonRoot"] != true ||
		c.SecurityContext.Escalation || !c.SecurityContext.ReadOnlyRoot || !slices.Equal(c.SecurityContext.Capabilities["drop"], []string{"ALL"}) {
		t.Error("it may more than it needs")
	}
	if !regexp.MustCompile(`^ghcr\.io/[^:]+@sha256:`).MatchString(c.Image) {
		t.Errorf("%s is not one image for ever", c.Image)
	}
	if c.Liveness.Get.Path != "/healthz" || c.Readiness.Get.Path != "/readyz" || c.Startup.Get.Path != "/healthz" {
		t.Error("the probes ask for the wrong page")
	}
	mounted := func(path string) bool {
		return slices.ContainsFunc(c.Mounts, func(m mount) bool { return m.Path == path })
	}
	env := map[string]string{}
	for _, v := range c.Env {
		env[v.Name] = v.Value
		if !mounted(filepath.Dir(v.Value)) {
			t.Errorf("%s lies nowhere", v.Value)
		}
	}
	servable(t, c.Args, env)
	if i := slices.Index(c.Args, "--data-dir"); !mounted(filepath.Dir(c.Args[i+1])) {
		t.Error("the data directory is not kept, in a directory that the volume leaves to the bot alone")
	}
}
