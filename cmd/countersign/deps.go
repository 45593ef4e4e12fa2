package main

import (
	_ "github.com/chromedp/chromedp"
	_ "github.com/go-git/go-git/v5"
	_ "github.com/go-git/go-billy/v5"
	_ "github.com/google/go-cmp/cmp"
	_ "github.com/google/go-github/v62/github"
	_ "github.com/gorilla/websocket"
	_ "github.com/hiddeco/sshsig"
	_ "github.com/oklog/ulid/v2"
	_ "github.com/prometheus/client_golang/prometheus/promhttp"
	_ "github.com/robfig/cron/v3"
	_ "github.com/rogpeppe/go-internal/testscript"
	_ "github.com/slack-go/slack/socketmode"
	_ "golang.org/x/crypto/ssh"
	_ "gopkg.in/yaml.v3"
)

func main() {}
