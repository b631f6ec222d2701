// Package web is Hokan's pages: sign-in, monitor, viewer and alarms. It serves
// HTML, style sheets and ES modules that are embedded in the program; there is
// no build step and no data in a page. The modules talk to /api/v1 with the
// session cookie.
package web

import (
	"bytes"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// pages are the paths a browser may open, with the template of each.
var pages = map[string]string{
	"/{$}":     "monitor",
	"/monitor": "monitor",
	"/viewer":  "viewer",
	"/alarms":  "alarms",
	"/login":   "login",
}

// missing is the template of what a person sees where there is no page.
const missing = "missing"

// Policy is the Content-Security-Policy of every page and asset: nothing from
// another host, no script or style that is not a file of this package.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// Handler serves the pages and their assets: / /monitor /viewer /alarms /login
// and /static/. It needs no token, as there is no data in them.
func Handler() http.Handler {
	site, err := newSite()
	if err != nil {
		// What is embedded was tested; a build that cannot parse it cannot run.
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		})
	}
	return site
}

// site has everything that is served, made once.
type site struct {
	mux    *http.ServeMux
	assets *assets
	pages  map[string]*asset // page + "." + language
}

func newSite() (*site, error) {
	catalogue, err := readCatalogue()
	if err != nil {
		return nil, err
	}
	s := &site{mux: http.NewServeMux(), pages: map[string]*asset{}}
	if s.assets, err = newAssets(catalogue); err != nil {
		return nil, err
	}
	for _, page := range append(slices.Collect(maps.Values(pages)), missing) {
		for _, language := range languages {
			text, err := s.render(page, language, catalogue[language])
			if err != nil {
				return nil, err
			}
			s.pages[page+"."+language] = newAsset("page.html", text)
		}
	}
	for path, page := range pages {
		s.mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) { s.page(w, r, page) })
	}
	s.mux.HandleFunc("GET /static/", s.assets.serve)
	s.mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, r *http.Request) {
		s.assets.files["img/mark.svg"].serve(w, r, revalidate)
	})
	return s, nil
}

// ServeHTTP implements http.Handler.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", Policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	if _, pattern := s.mux.Handler(r); pattern == "" && ForPerson(r) {
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write(s.pages[missing+"."+pickLanguage(r)].plain) // an error means that the reader has gone
		return
	}
	s.mux.ServeHTTP(w, r)
}

// ForPerson reports whether a request's answer is to be read by a person: a
// browser was told to go there.
func ForPerson(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "text/html") && !strings.HasPrefix(r.URL.Path, "/static/")
}

func (s *site) page(w http.ResponseWriter, r *http.Request, page string) {
	w.Header().Add("Vary", "Accept-Language, Cookie")
	language := pickLanguage(r)
	w.Header().Set("Content-Language", language)
	s.pages[page+"."+language].serve(w, r, revalidate)
}

// pageData is what a template is given. There is nothing of a user in it.
type pageData struct {
	Page     string
	Language string
	texts    map[string]string
	assets   *assets
}

// T gives the text of a key of the catalogue.
func (d *pageData) T(key string) (string, error) {
	text, ok := d.texts[key]
	if !ok {
		return "", fmt.Errorf("the catalogue has no %q", key)
	}
	return text, nil
}

// Static gives the address of a file of static/ that never changes.
func (d *pageData) Static(name string) (string, error) {
	if d.assets.files[name] == nil {
		return "", fmt.Errorf("there is no static file %q", name)
	}
	return d.assets.prefix + name, nil
}

// Languages lists the languages for the menus.
func (d *pageData) Languages() []language { return names }

func (s *site) render(page, language string, texts map[string]string) ([]byte, error) {
	parsed, err := template.ParseFS(files, "templates/layout.html", "templates/"+page+".html")
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	data := &pageData{Page: page, Language: language, texts: texts, assets: s.assets}
	if err := parsed.ExecuteTemplate(&b, "layout.html", data); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
