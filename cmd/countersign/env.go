package main

import (
	"fmt"
	"os"
	"strings"
)

// secret reads an environment variable, or the file that NAME_FILE names. One
// set both ways is an error: nobody could say which is meant.
func (c console) secret(name string) (string, error) {
	value, file := c.env(name), c.env(name+"_FILE")
	if file == "" {
		return strings.TrimSpace(value), nil
	}
	if value != "" {
		return "", fmt.Errorf("%s and %s_FILE are both set; unset one of them", name, name)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("%s_FILE: %w", name, err)
	}
	return strings.TrimSpace(string(data)), nil
}

// secrets reads several, each into its place.
func (c console) secrets(into map[string]*string) error {
	for name, p := range into {
		v, err := c.secret(name)
		if err != nil {
			return err
		}
		*p = v
	}
	return nil
}
