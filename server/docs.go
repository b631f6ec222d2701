package server

import (
	"bytes"
	_ "embed" // the page's template and style
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/server/api"
)

//go:embed docs.html
var docsTemplate string

//go:embed docs.css
var docsStyle []byte

// docsOperation is an operation as the page shows it.
type docsOperation struct {
	*huma.Operation
	Body    string // schema of the request's body
	Answers []docsAnswer
}

// docsAnswer is what an operation answers with.
type docsAnswer struct{ Status, Text, Media, Schema string }

// docsCodes are the error codes of one status.
type docsCodes struct {
	Status int
	Text   string
	Codes  []string
}

// docsLimit is a limit that refuses something.
type docsLimit struct{ Name, Most, Code, Text string }

// common are the statuses that any operation may answer with: the page says so
// once.
var common = []string{"400", "401", "403", "429", "500"}

// anError describes answers of which the page says all in one line.
const anError = "An error"

func statusText(status int) string { return strconv.Itoa(status) }

// renderDocument makes the API's page: plain HTML, nothing to load but a style
// sheet.
func renderDocument(document *huma.OpenAPI) ([]byte, error) {
	page := struct {
		Info       *huma.Info
		Operations []docsOperation
		Schemas    []docsAnswer
		Errors     []docsCodes
		Limits     []docsLimit
	}{Info: document.Info, Errors: errorCodes(), Limits: refusing()}
	for _, item := range document.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Delete} {
			if op != nil {
				page.Operations = append(page.Operations, describe(op))
			}
		}
	}
	order := []string{"POST", "GET", "PUT", "DELETE"}
	slices.SortFunc(page.Operations, func(a, b docsOperation) int {
		if c := strings.Compare(a.Path, b.Path); c != 0 {
			return c
		}
		return slices.Index(order, a.Method) - slices.Index(order, b.Method)
	})
	for name, schema := range document.Components.Schemas.Map() {
		page.Schemas = append(page.Schemas, docsAnswer{Text: name, Schema: indented(schema)})
	}
	slices.SortFunc(page.Schemas, func(a, b docsAnswer) int { return strings.Compare(a.Text, b.Text) })
	parsed, err := template.New("docs").Parse(docsTemplate)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = parsed.Execute(&b, page)
	return b.Bytes(), err
}

func describe(op *huma.Operation) docsOperation {
	d := docsOperation{Operation: op}
	if op.RequestBody != nil {
		for media, c := range op.RequestBody.Content {
			if media == "application/json" {
				d.Body = indented(c.Schema)
			}
		}
	}
	failures := map[string][]string{} // by the schema of their bodies
	for status, r := range op.Responses {
		if r.Content["application/problem+json"] != nil {
			if !slices.Contains(common, status) && status != "default" {
				failures["Problem"] = append(failures["Problem"], status)
			}
			continue
		}
		a := docsAnswer{Status: status, Text: r.Description}
		for _, media := range slices.Sorted(maps.Keys(r.Content)) {
			a.Media = media
			if schema := r.Content[media].Schema; schema != nil && schema.Ref != "" {
				a.Schema = schema.Ref[strings.LastIndex(schema.Ref, "/")+1:]
				break
			}
		}
		if r.Description == anError {
			failures[a.Schema] = append(failures[a.Schema], status)
			continue
		}
		d.Answers = append(d.Answers, a)
	}
	slices.SortFunc(d.Answers, func(a, b docsAnswer) int { return strings.Compare(a.Status, b.Status) })
	for _, schema := range slices.Sorted(maps.Keys(failures)) {
		slices.Sort(failures[schema])
		d.Answers = append(d.Answers, docsAnswer{Status: strings.Join(failures[schema], ", "), Text: anError, Schema: schema})
	}
	return d
}

// errorCodes has every code under its status.
func errorCodes() (list []docsCodes) {
	byStatus := map[int][]string{}
	for code, status := range api.Codes() {
		byStatus[status] = append(byStatus[status], code)
	}
	for _, status := range slices.Sorted(maps.Keys(byStatus)) {
		slices.Sort(byStatus[status])
		list = append(list, docsCodes{status, http.StatusText(status), byStatus[status]})
	}
	return list
}

// refusing has the limits that a client may meet.
func refusing() (list []docsLimit) {
	for _, l := range policy.Limits() {
		if l.Code == "" {
			continue
		}
		name, most := l.Name, strconv.FormatInt(l.Default, 10)
		switch {
		case strings.HasSuffix(name, "_ns"):
			most = time.Duration(l.Default).String()
		case strings.HasSuffix(name, "_bytes") && l.Default >= 1<<20:
			most = fmt.Sprintf("%d MiB", l.Default>>20)
		case strings.HasSuffix(name, "_bytes") && l.Default >= 1<<10:
			most = fmt.Sprintf("%d KiB", l.Default>>10)
		}
		list = append(list, docsLimit{name, most, l.Code, l.Doc})
	}
	return list
}

func indented(schema *huma.Schema) string {
	text, err := json.Marshal(schema)
	if err != nil {
		return err.Error()
	}
	var b bytes.Buffer
	if json.Indent(&b, text, "", "  ") != nil {
		return string(text)
	}
	return b.String()
}

func (s *Server) showDocument(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, err := w.Write(s.docs)
	return err
}

func (s *Server) styleDocument(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	_, err := w.Write(docsStyle)
	return err
}
