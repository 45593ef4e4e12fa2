package slackapp_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"countersign/bot/slackapp"
	"countersign/bot/slacksim"

	"github.com/google/go-cmp/cmp"
)

// documented is Slack's manifest, as its reference has it, as far as we write one.
// What is not here is refused.
type documented struct {
	Info struct {
		Name        string `json:"name"`
		Description string `json:"description"`
		Long        string `json:"long_description"`
		Color       string `json:"background_color"`
	} `json:"display_information"`
	Features struct {
		Home struct {
			Home     bool `json:"home_tab_enabled"`
			Messages bool `json:"messages_tab_enabled"`
			ReadOnly bool `json:"messages_tab_read_only_enabled"`
		} `json:"app_home"`
		Bot struct {
			Name   string `json:"display_name"`
			Online bool   `json:"always_online"`
		} `json:"bot_user"`
		Shortcuts []struct {
			Name, Type, Description string
			Callback                string `json:"callback_id"`
		} `json:"shortcuts"`
		Commands []struct {
			Command, URL, Description string
			Hint                      string `json:"usage_hint"`
			Escape                    bool   `json:"should_escape"`
		} `json:"slash_commands"`
	} `json:"features"`
	OAuth struct {
		Scopes struct{ Bot []string } `json:"scopes"`
	} `json:"oauth_config"`
	Settings struct {
		Events struct {
			URL string   `json:"request_url"`
			Bot []string `json:"bot_events"`
		} `json:"event_subscriptions"`
		Interactivity struct {
			Enabled bool   `json:"is_enabled"`
			URL     string `json:"request_url"`
			Options string `json:"message_menu_options_url"`
		} `json:"interactivity"`
		Org      bool `json:"org_deploy_enabled"`
		Socket   bool `json:"socket_mode_enabled"`
		Rotation bool `json:"token_rotation_enabled"`
	} `json:"settings"`
}

func manifestOf(t *testing.T, socketMode bool, url string) documented {
	t.Helper()
	var m documented
	dec := json.NewDecoder(strings.NewReader(string(slackapp.Manifest(socketMode, url))))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&m); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestManifestForm holds the manifest of both modes to the limits of Slack's reference.
func TestManifestForm(t *testing.T) {
	for _, socketMode := range []bool{true, false} {
		m := manifestOf(t, socketMode, "https://access.example.com/")
		most := func(what, text string, least, most int) {
			t.Helper()
			if n := len([]rune(text)); n < least || n > most {
				t.Errorf("%s has %d characters, and may have %d to %d", what, n, least, most)
			}
		}
		most("name", m.Info.Name, 1, 35)
		most("description", m.Info.Description, 1, 140)
		most("long_description", m.Info.Long, 174, 4000)
		most("display_name", m.Features.Bot.Name, 1, 80)
		if !regexp.MustCompile(`^#[0-9a-fA-F]{6}$`).MatchString(m.Info.Color) {
			t.Errorf("color %q", m.Info.Color)
		}
		for _, s := range m.Features.Shortcuts {
			most("shortcut", s.Name, 1, 24)
			most("callback_id", s.Callback, 1, 255)
			most("shortcut's description", s.Description, 1, 150)
			if s.Type != "global" {
				t.Errorf("a shortcut of type %q", s.Type)
			}
		}
		for _, c := range m.Features.Commands {
			most("command", c.Command, 2, 32)
			most("command's description", c.Description, 1, 2000)
			most("usage_hint", c.Hint, 0, 1000)
			if !strings.HasPrefix(c.Command, "/") || !c.Escape {
				t.Errorf("command %+v", c)
			}
		}
		if len(m.Features.Shortcuts) > 10 || len(m.Features.Commands) > 50 || len(m.OAuth.Scopes.Bot) > 255 || len(m.Settings.Events.Bot) > 100 {
			t.Error("more than Slack takes")
		}
		if !m.Features.Home.Home || !m.Features.Home.Messages || m.Features.Home.ReadOnly || !m.Settings.Interactivity.Enabled || m.Settings.Socket != socketMode {
			t.Errorf("switches: %+v %+v", m.Features.Home, m.Settings)
		}
		urls := []string{m.Settings.Events.URL, m.Settings.Interactivity.URL, m.Features.Commands[0].URL, m.Settings.Interactivity.Options}
		want := []string{"", "", "", ""}
		if !socketMode {
			for i, path := range []string{"events", "interactive", "commands", "options"} {
				want[i] = "https://access.example.com/slack/" + path
			}
		}
		if diff := cmp.Diff(want, urls); diff != "" {
			t.Error(diff)
		}
	}
}

// needs are the scopes of each method that is called, as its documentation has them.
// Where only some kinds of channels are concerned, those of public and private ones.
var needs = map[string][]string{
	"auth.test":             nil,
	"apps.connections.open": {}, // connections:write of the app-level token, which is in no manifest
	"chat.postMessage":      {"chat:write"}, "chat.update": {"chat:write"}, "chat.postEphemeral": {"chat:write"}, "chat.getPermalink": nil,
	"conversations.open": {"im:write"}, "conversations.info": {"channels:read", "groups:read"}, "conversations.list": {"channels:read", "groups:read"},
	"conversations.history": {"channels:history", "groups:history", "im:history"}, "conversations.replies": {"channels:history", "groups:history"},
	"views.open": nil, "views.update": nil, "views.publish": nil,
	"users.info": {"users:read"}, "users.list": {"users:read", "users:read.email"}, "users.lookupByEmail": {"users:read.email"},
	"usergroups.list": {"usergroups:read"}, "usergroups.users.list": {"usergroups:read"}, "usergroups.create": {"usergroups:write"},
	"usergroups.enable": {"usergroups:write"}, "usergroups.disable": {"usergroups:write"}, "usergroups.users.update": {"usergroups:write"},
}

// library are the methods behind the calls of the client library that our interfaces name.
var library = map[string]string{
	"PostMessageContext": "chat.postMessage", "UpdateMessageContext": "chat.update", "PostEphemeralContext": "chat.postEphemeral",
	"GetPermalinkContext": "chat.getPermalink", "OpenConversationContext": "conversations.open", "OpenViewContext": "views.open",
	"UpdateViewContext": "views.update", "PublishViewContext": "views.publish", "AuthTestContext": "auth.test",
	"GetConversationInfoContext": "conversations.info", "GetConversationsContext": "conversations.list",
	"GetUserGroupsContext": "usergroups.list", "CreateUserGroupContext": "usergroups.create", "EnableUserGroupContext": "usergroups.enable",
	"DisableUserGroupContext": "usergroups.disable", "GetUserGroupMembersContext": "usergroups.users.list", "UpdateUserGroupMembersContext": "usergroups.users.update",
}

// brings are the events, with the scopes that subscribing to each takes.
var brings = map[string][]string{
	"app_home_opened": nil, "app_uninstalled": nil, "tokens_revoked": nil,
	"message.channels": {"channels:history"}, "message.groups": {"groups:history"}, "message.im": {"im:history"},
	"channel_archive": {"channels:read"}, "channel_unarchive": {"channels:read"}, "group_archive": {"groups:read"}, "group_unarchive": {"groups:read"},
	"channel_id_changed": {"channels:read", "groups:read"}, "channel_shared": {"channels:read", "groups:read"}, "channel_unshared": {"channels:read", "groups:read"},
	"member_joined_channel": {"channels:read", "groups:read"}, "member_left_channel": {"channels:read", "groups:read"},
	"subteam_members_changed": {"usergroups:read"}, "subteam_updated": {"usergroups:read"}, "user_change": {"users:read"},
}

// TestManifestCovers: every method that the code calls and every event that it takes
// is covered by the manifest, and the manifest asks for nothing else.
func TestManifestCovers(t *testing.T) {
	methods, events := used(t)
	m := manifestOf(t, true, "")
	why := map[string]string{"commands": "the slash command"}
	for _, method := range methods {
		scopes, known := needs[method]
		if !known {
			t.Errorf("%s is called, and what it needs is not written down", method)
		}
		for _, s := range scopes {
			why[s] = method
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(needs)), methods); diff != "" {
		t.Errorf("methods that are written down, and that are called:\n%s", diff)
	}
	for _, e := range m.Settings.Events.Bot {
		scopes, known := brings[e]
		if !known {
			t.Errorf("event %s is subscribed to, and its scopes are not written down", e)
		}
		for _, s := range scopes {
			why[s] = "event " + e
		}
		if !slices.Contains(events, strings.SplitN(e, ".", 2)[0]) {
			t.Errorf("event %s is subscribed to, and nothing takes it", e)
		}
	}
	subscribed := func(event string) bool {
		return slices.ContainsFunc(m.Settings.Events.Bot, func(e string) bool { return e == event || strings.HasPrefix(e, event+".") })
	}
	for _, e := range events {
		if !subscribed(e) {
			t.Errorf("event %s is taken, and never comes: it is not subscribed to", e)
		}
	}
	for s, what := range why {
		if !slices.Contains(m.OAuth.Scopes.Bot, s) {
			t.Errorf("the scope %s is missing, for %s", s, what)
		}
	}
	for _, s := range m.OAuth.Scopes.Bot {
		if why[s] == "" {
			t.Errorf("the scope %s is for nothing", s)
		}
	}
}

// TestManifestIsWhatIsTried: the local Slack, which refuses what scopes do not allow
// and brings what is subscribed to, has the app of the manifest.
func TestManifestIsWhatIsTried(t *testing.T) {
	m, app := manifestOf(t, true, ""), slacksim.DefaultWorld().App
	if diff := cmp.Diff(m.OAuth.Scopes.Bot, app.Scopes); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(m.Settings.Events.Bot, app.Events); diff != "" {
		t.Error(diff)
	}
}

// used reads the code: names of methods in calls, those of the client library in our
// interfaces, and the events that are told apart.
func used(t *testing.T) (methods, events []string) {
	t.Helper()
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	found, kinds := map[string]bool{"apps.connections.open": true}, map[string]bool{}
	for _, entry := range files {
		if name := entry.Name(); !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), entry.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				for _, a := range n.Args {
					if text := literal(a); regexp.MustCompile(`^(auth|apps|chat|conversations|views|users|usergroups|team|bots|reactions|files|pins)\.[a-zA-Z.]+$`).MatchString(text) {
						found[text] = true
					}
				}
			case *ast.InterfaceType:
				for _, f := range n.Methods.List {
					if len(f.Names) == 1 && strings.HasSuffix(f.Names[0].Name, "Context") {
						method, known := library[f.Names[0].Name]
						if !known {
							t.Errorf("which method %s calls is not written down", f.Names[0].Name)
						}
						found[method] = true
					}
				}
			case *ast.FuncDecl:
				if n.Name.Name == "event" && n.Recv != nil {
					casesOf(n, kinds)
				}
			}
			return true
		})
	}
	return slices.Sorted(maps.Keys(found)), slices.Sorted(maps.Keys(kinds))
}

// casesOf collects the texts of the cases in a function.
func casesOf(n ast.Node, into map[string]bool) {
	ast.Inspect(n, func(n ast.Node) bool {
		if c, ok := n.(*ast.CaseClause); ok {
			for _, x := range c.List {
				if text := literal(x); text != "" {
					into[text] = true
				}
			}
		}
		return true
	})
}

func literal(x ast.Expr) string {
	l, ok := x.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return ""
	}
	text, err := strconv.Unquote(l.Value)
	if err != nil {
		return ""
	}
	return text
}
