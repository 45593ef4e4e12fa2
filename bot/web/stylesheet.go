package web

// Stylesheet is the address of the style of the pages, for pages of others that
// stand before them, such as a sign-in. Everybody may read it.
func (s *Server) Stylesheet() string { return "/static/" + s.assets.css }

// Icon is the address of the icon of the pages, for the same.
func (s *Server) Icon() string { return "/static/" + s.assets.icon }
