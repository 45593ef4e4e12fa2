package access

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// MaxText is how many characters of a person's text are kept.
const MaxText = 3000

// Clean makes what a person typed fit for the record: valid UTF-8 without
// control and bidirectional characters (line feeds and tabs stay), trimmed, cut
// to so many characters, and with the secrets in it replaced. What is clean
// stays as it is: a decision is decided anew with the text that it recorded.
func Clean(s string, most int) string {
	s = clean(s)
	for {
		n, _ := Redact(s)
		if n = cut(n, most); n == s {
			return s
		}
		s = n // where it was cut there may now be what reads as a secret
	}
}

// cut shortens a text to so many characters.
func cut(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

func clean(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.ReplaceAll(s, "\r\n", "\n")
	s = strings.Map(func(c rune) rune {
		switch {
		case c == '\n' || c == '\t':
			return c
		case unicode.IsControl(c) || Bidi(c) || c == '\uFEFF' || c == '\u2028' || c == '\u2029':
			return -1
		}
		return c
	}, s)
	return strings.TrimSpace(s)
}

// Bidi reports whether a character reorders the text around it.
func Bidi(c rune) bool {
	return c >= '\u202A' && c <= '\u202E' || c >= '\u2066' && c <= '\u2069' || c == '\u200E' || c == '\u200F' || c == '\u061C'
}

// secret is one kind of credential as people paste it. The git log is for ever,
// so whatever looks like one never gets there; nothing is kept of it, not even
// a hash, since a weak secret can be guessed from that.
type secret struct {
	kind string
	pat  *regexp.Regexp
	keep int // submatch that stays in front of the redaction; 0: none
}

// secrets are compiled once: they are constants in all but syntax.
var secrets = []secret{
	{"private key", regexp.MustCompile(`(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY( BLOCK)?-----.*?(-----END [A-Z0-9 ]*PRIVATE KEY( BLOCK)?-----|\z)`), 0},
	{"Slack token", regexp.MustCompile(`\bxox[a-z]-[0-9A-Za-z-]{8,}|\bxapp-[0-9A-Za-z-]{8,}|\bxoxe\.[0-9A-Za-z.-]{8,}`), 0},
	{"Slack webhook", regexp.MustCompile(`https://hooks\.slack\.com/(services|workflows|triggers)/[A-Za-z0-9/_-]+`), 0},
	{"GitHub token", regexp.MustCompile(`\bgh[pousr]_[0-9A-Za-z]{20,}|\bgithub_pat_[0-9A-Za-z_]{20,}`), 0},
	{"AWS key", regexp.MustCompile(`\b(AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}\b`), 0},
	{"AWS secret", regexp.MustCompile(`(?i)(aws_?secret_?(?:access_?)?key["']?\s*[:=]\s*["']?)[0-9A-Za-z/+=]{30,}`), 1},
	{"Google key", regexp.MustCompile(`\bAIza[0-9A-Za-z_-]{35}\b`), 0},
	{"JWT", regexp.MustCompile(`\beyJ[0-9A-Za-z_-]{5,}\.[0-9A-Za-z_-]{5,}\.[0-9A-Za-z_-]*`), 0},
	{"API key", regexp.MustCompile(`\b(?:sk|rk)_(?:live|test)_[0-9A-Za-z]{16,}|\bsk-[0-9A-Za-z_-]{20,}|\bglpat-[0-9A-Za-z_-]{20,}|\bnpm_[0-9A-Za-z]{30,}`), 0},
	{"password", regexp.MustCompile(`(?i)(\b(?:password|passwd|pwd|secret|token|api[_-]?key)\b["']?\s*[:=]\s*["']?)[^\s"'<>\[][^\s"'<>]{5,}`), 1},
	{"URL credentials", regexp.MustCompile(`(\b[a-zA-Z][a-zA-Z0-9+.-]*://[^\s/:@]*:)[^\s/@]+@`), 1},
	{"authorization", regexp.MustCompile(`(?i)(\bauthorization:\s*(?:bearer|basic|token)\s+)[0-9A-Za-z._~+/=-]{8,}`), 1},
}

// Redact replaces what looks like a secret by "[redacted <kind>]" and names the
// kinds that were found.
func Redact(s string) (string, []string) {
	var kinds []string
	for _, x := range secrets {
		if !x.pat.MatchString(s) {
			continue
		}
		kinds = append(kinds, x.kind)
		with := "[redacted " + x.kind + "]"
		if x.keep > 0 {
			with = "${1}" + with
		}
		if x.kind == "URL credentials" {
			with += "@"
		}
		s = x.pat.ReplaceAllString(s, with)
	}
	return s, slices.Compact(kinds)
}
