package slacksim

import "slices"

// GroupRule says who may change user groups.
type GroupRule string

// The rules a workspace can have for its user groups.
const (
	GroupsByEveryone GroupRule = "everyone" // bot tokens may change groups
	GroupsByAdmins   GroupRule = "admins"   // only an admin's user token may: permission_denied
	GroupsUnpaid     GroupRule = "unpaid"   // the plan has no user groups: paid_teams_only
)

// World is what a workspace starts with. Ids are free to choose but follow Slack's
// first letters: T team, U user, C channel, S user group, A app, B bot.
type World struct {
	Team      Team
	Others    []Team // workspaces that foreign users belong to
	Users     []User
	Channels  []Channel
	Groups    []Group
	GroupRule GroupRule // empty means GroupsByEveryone
	App       App
}

// Team is a workspace.
type Team struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Domain string `json:"domain"`
}

// User is a person or a bot.
type User struct {
	ID            string `json:"id"`
	Team          string `json:"team"` // empty: the world's team; another id makes the user foreign
	Name          string `json:"name"` // what is typed after the @
	RealName      string `json:"real_name"`
	Title         string `json:"title,omitempty"`
	Email         string `json:"email,omitempty"`
	Color         string `json:"color,omitempty"` // "#rrggbb"
	TZ            string `json:"tz,omitempty"`
	Admin         bool   `json:"admin,omitempty"`
	Bot           bool   `json:"bot,omitempty"`
	Deleted       bool   `json:"deleted,omitempty"`        // deactivated
	Guest         bool   `json:"guest,omitempty"`          // is_restricted
	SingleChannel bool   `json:"single_channel,omitempty"` // is_ultra_restricted (and is_restricted)
	Unconfirmed   bool   `json:"unconfirmed,omitempty"`    // the e-mail address was never confirmed
}

// Channel is a public or private channel, or the direct messages of one user and the app.
type Channel struct {
	ID       string   `json:"id"`
	Name     string   `json:"name,omitempty"`
	Topic    string   `json:"topic,omitempty"`
	Private  bool     `json:"private,omitempty"`
	Shared   bool     `json:"shared,omitempty"` // with another workspace (is_ext_shared)
	Archived bool     `json:"archived,omitempty"`
	User     string   `json:"user,omitempty"` // direct messages: the person
	Members  []string `json:"members"`
}

// Group is a user group.
type Group struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Handle      string   `json:"handle"`
	Description string   `json:"description,omitempty"`
	Users       []string `json:"users"`
	Disabled    bool     `json:"disabled,omitempty"`
	Updated     int64    `json:"updated,omitempty"` // Unix seconds
}

// App is the one app that is installed in the workspace.
type App struct {
	ID                string
	Name              string
	BotID             string
	BotUser           string // id of its user, which must be among the world's users
	BotToken          string // "xoxb-…"
	AppToken          string // "xapp-…", for apps.connections.open
	UserToken         string // "xoxp-…", empty: there is none
	UserTokenUser     string // whose token UserToken is
	SigningSecret     string // for HTTP mode, see Server.Deliver
	VerificationToken string
	Scopes            []string // of the bot token
	UserScopes        []string // of the user token
	Events            []string // subscribed bot events, e.g. "message.channels"
	Commands          []Command
	Shortcuts         []Shortcut
	NoHome            bool // the Home tab is switched off
}

// Command is a slash command of the app.
type Command struct {
	Command      string `json:"command"` // with the slash
	UsageHint    string `json:"usage_hint"`
	Description  string `json:"description"`
	ShouldEscape bool   `json:"-"` // mentions arrive as <@U1|name>
}

// Shortcut is a global shortcut of the app.
type Shortcut struct {
	CallbackID  string `json:"callback_id"`
	Name        string `json:"name"`
	Description string `json:"description"`
}

// DefaultWorld returns the workspace "Acme" with one person for every part that is
// played in an access request, and those who must not play any.
//
// Nina belongs to another workspace and is a member of #access-requests although that
// channel is not marked as shared: the case of a channel that was shared after the app
// looked at it.
func DefaultWorld() World {
	people := []User{
		{ID: "U0ALICE", Name: "alice", RealName: "Alice Adams", Title: "Requestor · Payments engineer", Email: "alice@example.com", Color: "#2e7d5b"},
		{ID: "U0BOB", Name: "bob", RealName: "Bob Brown", Title: "Reviewer · Security lead", Email: "bob@example.com", Color: "#b3541e", Admin: true},
		{ID: "U0CAROL", Name: "carol", RealName: "Carol Clark", Title: "Reviewer · Partner, other e-mail domain", Email: "carol@partner.example", Color: "#7a3e9d"},
		{ID: "U0DAN", Name: "dan", RealName: "Dan Davis", Title: "No rights · Designer", Email: "dan@example.com", Color: "#1f6feb"},
		{ID: "U0ERIN", Name: "erin", RealName: "Erin Evans", Title: "Engineer", Email: "erin@example.com", Color: "#a02c5a"},
		{ID: "U0GUS", Name: "gus", RealName: "Gus Green", Title: "Guest", Email: "gus@contractor.example", Color: "#6b6b00", Guest: true},
		{ID: "U0NINA", Team: "T0UMBRELLA", Name: "nina", RealName: "Nina North", Title: "Another workspace", Email: "nina@umbrella.example", Color: "#9c2a2a"},
		{ID: "U0OLIVER", Name: "oliver", RealName: "Oliver Owens", Title: "Deactivated", Email: "oliver@example.com", Color: "#777777", Deleted: true},
		{ID: "U0COUNTERSIGN", Name: "countersign", RealName: "Countersign", Title: "App", Color: "#0b6e66", Bot: true},
	}
	staff := []string{"U0ALICE", "U0BOB", "U0CAROL", "U0DAN", "U0ERIN"}
	with := func(more ...string) []string { return append(slices.Clone(staff), more...) }
	return World{
		Team:   Team{ID: "T0ACME", Name: "Acme", Domain: "acme"},
		Others: []Team{{ID: "T0UMBRELLA", Name: "Umbrella Corp", Domain: "umbrella"}},
		Users:  people,
		Channels: []Channel{
			{ID: "C0ACCESS", Name: "access-requests", Topic: "Requests for access, and who approved them", Members: with("U0GUS", "U0NINA", "U0COUNTERSIGN")},
			{ID: "C0GENERAL", Name: "general", Topic: "Everything and everyone", Members: with("U0GUS")},
			{ID: "C0PAYMENTS", Name: "payments", Topic: "The payments team", Private: true, Members: []string{"U0ALICE", "U0BOB", "U0ERIN"}},
			{ID: "C0SHARED", Name: "shared-umbrella", Topic: "With Umbrella Corp", Shared: true, Members: []string{"U0ALICE", "U0BOB", "U0NINA", "U0COUNTERSIGN"}},
		},
		GroupRule: GroupsByEveryone,
		App:       defaultApp(),
	}
}

func defaultApp() App {
	return App{
		ID:                "A0COUNTERSIGN",
		Name:              "Countersign",
		BotID:             "B0COUNTERSIGN",
		BotUser:           "U0COUNTERSIGN",
		BotToken:          "xoxb-local-countersign",
		AppToken:          "xapp-local-countersign",
		UserToken:         "xoxp-local-bob",
		UserTokenUser:     "U0BOB",
		SigningSecret:     "l0ca1s1gn1ngsecret0000000000000f",
		VerificationToken: "local-verification-token",
		Scopes: []string{
			"commands", "chat:write", "im:write", "im:history", "users:read", "users:read.email",
			"channels:read", "channels:history", "groups:read", "groups:history",
			"usergroups:read", "usergroups:write",
		},
		UserScopes: []string{"usergroups:read", "usergroups:write"},
		Events: []string{
			"app_home_opened", "app_uninstalled", "channel_archive", "channel_id_changed", "channel_shared", "channel_unarchive", "channel_unshared",
			"group_archive", "group_unarchive", "member_joined_channel", "member_left_channel", "message.channels", "message.groups",
			"message.im", "subteam_members_changed", "subteam_updated", "tokens_revoked", "user_change",
		},
		Commands: []Command{{
			Command: "/access", UsageHint: "request | list | pending | show ID | help",
			Description: "Ask for access, and look after it", ShouldEscape: true,
		}},
		Shortcuts: []Shortcut{{CallbackID: "request_access", Name: "Request access", Description: "Ask for access to something"}},
	}
}
