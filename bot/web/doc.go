// Package web is the dashboard: what was asked for, who decided, who has what
// now and had at any time before. It reads and cannot write.
package web
