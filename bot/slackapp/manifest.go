package slackapp

import (
	"bytes"
	"encoding/json"
	"strings"
)

// The manifest of the app, as Slack takes it.
type (
	manifest struct {
		Info     manifestInfo     `json:"display_information"`
		Features manifestFeatures `json:"features"`
		OAuth    manifestOAuth    `json:"oauth_config"`
		Settings manifestSettings `json:"settings"`
	}
	manifestInfo struct {
		Name        string `json:"name"`
		Description string `json:"description"`
		Long        string `json:"long_description"`
		Color       string `json:"background_color"`
	}
	manifestFeatures struct {
		Home      map[string]bool    `json:"app_home"`
		Bot       manifestBot        `json:"bot_user"`
		Shortcuts []manifestShortcut `json:"shortcuts"`
		Commands  []manifestCommand  `json:"slash_commands"`
	}
	manifestBot struct {
		Name   string `json:"display_name"`
		Online bool   `json:"always_online"`
	}
	manifestShortcut struct {
		Name        string `json:"name"`
		Type        string `json:"type"`
		Callback    string `json:"callback_id"`
		Description string `json:"description"`
	}
	manifestCommand struct {
		Command     string `json:"command"`
		URL         string `json:"url,omitempty"`
		Description string `json:"description"`
		Hint        string `json:"usage_hint"`
		Escape      bool   `json:"should_escape"`
	}
	manifestOAuth struct {
		Scopes map[string][]string `json:"scopes"`
	}
	manifestSettings struct {
		Events      manifestEvents   `json:"event_subscriptions"`
		Interactive manifestInteract `json:"interactivity"`
		Org         bool             `json:"org_deploy_enabled"`
		Socket      bool             `json:"socket_mode_enabled"`
		Rotation    bool             `json:"token_rotation_enabled"`
	}
	manifestEvents struct {
		URL string   `json:"request_url,omitempty"`
		Bot []string `json:"bot_events"`
	}
	manifestInteract struct {
		Enabled bool   `json:"is_enabled"`
		URL     string `json:"request_url,omitempty"`
		Options string `json:"message_menu_options_url,omitempty"`
	}
)

// botScopes are what the bot token is for.
var botScopes = []string{
	"commands", "chat:write", "im:write", "im:history", "users:read", "users:read.email", "channels:read", "channels:history",
	"groups:read", "groups:history", "usergroups:read", "usergroups:write",
}

// Manifest is the manifest of the Slack app in JSON, with everything that the bot
// needs and nothing else. With socketMode Slack needs no address of ours; without it
// baseURL is where Slack reaches the bot, such as https://access.example.com. The
// app-level token (connections:write) is not part of a manifest.
func Manifest(socketMode bool, baseURL string) []byte {
	base := strings.TrimSuffix(baseURL, "/")
	at := func(path string) string {
		if socketMode {
			return ""
		}
		return base + path
	}
	m := manifest{
		Info: manifestInfo{
			Name: "Countersign", Description: "Access for a limited time, with a second signature", Color: "#0b3d3a",
			Long: "Ask for access with /access, in a form or in the Home tab. Reviewers approve, deny and discuss it in one channel. " +
				"Access is given for a limited time and taken away when the time is over. Every request, decision and message about it " +
				"is kept as a signed commit in a git repository of yours.",
		},
		Features: manifestFeatures{
			Home:      map[string]bool{"home_tab_enabled": true, "messages_tab_enabled": true, "messages_tab_read_only_enabled": false},
			Bot:       manifestBot{Name: "Countersign", Online: true},
			Shortcuts: []manifestShortcut{{Name: "Request access", Type: "global", Callback: actRequest, Description: "Ask for access to something"}},
			Commands: []manifestCommand{{
				Command: "/access", URL: at(pathCommands), Description: "Ask for access, and look after it",
				Hint: "request | list | pending | show ID | help", Escape: true,
			}},
		},
		OAuth: manifestOAuth{Scopes: map[string][]string{"bot": botScopes}},
		Settings: manifestSettings{
			Events: manifestEvents{URL: at(pathEvents), Bot: []string{
				"app_home_opened", "app_uninstalled", "channel_archive", "channel_id_changed", "channel_shared", "channel_unarchive", "channel_unshared",
				"group_archive", "group_unarchive", "member_joined_channel", "member_left_channel", "message.channels", "message.groups",
				"message.im", "subteam_members_changed", "subteam_updated", "tokens_revoked", "user_change",
			}},
			Interactive: manifestInteract{Enabled: true, URL: at(pathInteractive), Options: at(pathOptions)},
			Socket:      socketMode,
		},
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(m); err != nil {
		// Strings, bools and lists of them can always be encoded.
		panic(err)
	}
	return b.Bytes()
}
