package main

import (
	"cmp"
	"context"
	"fmt"
	"runtime/debug"
)

// version prints what this binary was built from.
func version(_ context.Context, args []string, c console) error {
	fs := flags(c, "version", "", "Prints the version of this program.")
	if err := parse(fs, args); err != nil {
		return err
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		fmt.Fprintln(c.out, "countersign (built without module information)")
		return nil
	}
	commit := ""
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			commit = " " + s.Value
		}
	}
	fmt.Fprintf(c.out, "countersign %s%s %s\n", cmp.Or(info.Main.Version, "(devel)"), commit, info.GoVersion)
	return nil
}
