package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"countersign/bot/slacksim"
)

// The words of the stories about forms and the Home tab.

func submit(s *story, args []string) error {
	if len(args) < 1 {
		return errUsage
	}
	v, err := s.form(args[0])
	if err != nil {
		return err
	}
	fmt.Fprint(s.ts.Stdout(), "") // nothing of an earlier word stands there
	values := map[string]map[string]any{}
	for _, a := range args[1:] {
		name, value, ok := strings.Cut(a, "=")
		if !ok {
			return errUsage
		}
		if name == "for" {
			value = userID(value)
		}
		if name == "resource" { // only what was offered can be chosen
			if _, err := s.sim.As(args[0]).Suggest(slacksim.InView(v.ID()), "", name, value); err != nil {
				return err
			}
		}
		value = strings.ReplaceAll(value, `\n`, "\n")
		values[name] = map[string]any{name: value}
	}
	problems, err := s.sim.As(args[0]).Submit(v.ID(), values)
	if err != nil {
		return err
	}
	for _, field := range slices.Sorted(maps.Keys(problems)) {
		fmt.Fprintf(s.ts.Stdout(), "%s: %s\n", field, problems[field])
	}
	if refused := len(problems) > 0; refused != s.neg {
		return fmt.Errorf("sent back: %v %v", refused, problems)
	}
	return nil
}

// choose fills in a field that the form looks at as it is filled in.
func choose(s *story, args []string) error {
	if len(args) != 3 {
		return errUsage
	}
	v, err := s.form(args[0])
	if err != nil {
		return err
	}
	a, in := s.sim.As(args[0]), slacksim.InView(v.ID())
	switch args[1] {
	case "resource":
		if err := suggest(s, []string{args[0], args[2], args[2]}); err != nil {
			return err
		}
		return a.Select(in, "resource", "resource", args[2])
	case "glass":
		if !wait(func() bool { v, err := s.form(args[0]); return err == nil && v.Element("glass") != nil }) {
			return errors.New("the form does not offer to break glass")
		}
		return a.Select(in, "glass", "glass", []any{args[2]})
	}
	return a.Select(in, args[1], args[1], args[2])
}

func suggest(s *story, args []string) error {
	if len(args) < 2 || len(args) > 3 {
		return errUsage
	}
	want, err := pattern([]string{strings.Join(args[2:], "")})
	if err != nil {
		return err
	}
	v, err := s.form(args[0])
	if err != nil {
		return err
	}
	var lines []string
	ok := wait(func() bool {
		var found slacksim.Suggestions
		if found, err = s.sim.As(args[0]).Suggest(slacksim.InView(v.ID()), "", "resource", args[1]); err != nil {
			return true
		}
		lines = nil
		for _, o := range found.Options {
			lines = append(lines, textOf(o)+"\n")
		}
		return want.MatchString(strings.Join(lines, ""))
	})
	fmt.Fprint(s.ts.Stdout(), strings.Join(lines, ""))
	if err == nil && !ok {
		err = fmt.Errorf("the options are %q", lines)
	}
	return err
}

func shortcut(s *story, args []string) error {
	if len(args) != 1 {
		return errUsage
	}
	a := s.sim.As(args[0])
	before := map[string]bool{}
	for _, v := range a.Modals() {
		before[v.ID()] = true
	}
	if err := a.Shortcut("request_access"); err != nil {
		return err
	}
	// What is done next is done in the new form, not in one that stood open.
	if !wait(func() bool {
		return slices.ContainsFunc(a.Modals(), func(v slacksim.View) bool { return !before[v.ID()] })
	}) {
		return errors.New("no form was opened")
	}
	return nil
}

func home(s *story, args []string) error {
	if len(args) != 1 {
		return errUsage
	}
	return s.sim.As(args[0]).OpenHome()
}
