package server

import (
	"encoding/json"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/hokan-db/hokan/ingest/remotewrite/remotewritetest"
)

// asked is a request whose answer is held to the document.
type asked struct {
	// path is as in the document, behind /api/v1 or else behind "!", with {alarm} and
	// {token} for IDs; a query may follow.
	method, path string
	token        string
	body         string
	status       int
	code         string // of a problem
	headers      []string
}

func match(selector string) string { return "match=" + url.QueryEscape(selector) }

// requests meet every operation, and the ways in which it refuses.
func (f *fixture) requests() []asked {
	const bad, notFound, invalid = 400, 404, 422
	r, w, admin := f.reader, f.writer, f.admin
	alarm := bodies["POST /api/v1/alarms"]
	sample := bodies["POST /api/v1/samples"]
	get := func(path string) asked { return asked{method: "GET", path: path, token: r, status: 200} }
	fails := func(path string, status int, code string) asked {
		return asked{method: "GET", path: path, token: r, status: status, code: code}
	}
	remoteBody := snappy(remotewritetest.Encode1([]remotewritetest.Series{remoteSeries("up", "remote", 1_700_000_000_000, 1)}))
	send := func(method, path, token, body string, status int, code string, headers ...string) asked {
		return asked{method, path, token, body, status, code, headers}
	}
	return []asked{
		get("/channels"), get("/channels?" + match(`{channel="none"}`)), get("/channels?unit=ns"),
		fails("/channels?match=x", bad, "bad_selector"), fails("/channels?unit=h", bad, "bad_time"),
		get("/latest"), get("/latest?" + match(`{channel=~"CH[23]"}`)), fails("/latest?"+match(`{channel="none"}`), notFound, "no_channel"),
		get("/view"), get("/view?buckets=3&from=2023-11-14T22:13:20Z&to=2023-11-14T22:14:20Z"), get("/view?buckets=1&unit=s"),
		get("/view?fields=count,mean"), fails("/view?fields=median", bad, "malformed"),
		fails("/view?buckets=x", invalid, "invalid"), fails("/view?buckets=-1", invalid, "invalid"),
		fails("/view?buckets=0", invalid, "invalid"), fails("/table?limit=0", invalid, "invalid"),
		fails("/channels?mach="+match(`{channel="CH1"}`), bad, "malformed"), fails("/latest?match=%zz", bad, "malformed"),
		fails("/export?format=csv&match={}&for=now-1d", bad, "malformed"), fails("/live?macth={}", bad, "malformed"),
		fails("/alarms/{alarm}?units=s", bad, "malformed"),
		fails("/view?from=never", bad, "bad_time"), fails("/view?from=now&to=now-1d", bad, "bad_span"),
		fails("/view?from=now-1ms&to=now&buckets=1000", bad, "bad_span"), fails("/view?"+match(`{channel="none"}`), notFound, "no_channel"),
		get("/table"), get("/table?limit=3"), fails("/table?limit=99999", invalid, "invalid"), fails("/table?after=x", bad, "malformed"),
		get("/events"), get("/events?limit=1"), fails("/events?after=x", bad, "malformed"), fails("/events?alarm=x", notFound, "not_found"),
		get("/alarms"), get("/alarms/{alarm}"), fails("/alarms/77777", notFound, "not_found"), fails("/alarms/x", notFound, "not_found"),
		send("POST", "/alarms", w, alarm, 201, ""), send("POST", "/alarms", w, "", bad, "malformed"),
		send("POST", "/alarms", w, `{"name":"a"`, bad, "malformed"), send("POST", "/alarms", w, `{"name":1}`, invalid, "invalid"),
		send("POST", "/alarms", w, `{"unknown":1}`, invalid, "invalid"), send("POST", "/alarms", w, `{}`, invalid, "invalid"),
		send("POST", "/alarms", w, strings.Replace(alarm, "CH1", "none", 1), notFound, "no_channel"),
		send("POST", "/alarms", w, strings.Replace(alarm, `channel=\"CH1\"`, `instrument=\"logger\"`, 1), invalid, "too_many_channels"),
		send("POST", "/alarms", w, `{"name":"`+strings.Repeat("x", 70_000)+`"}`, 413, "body_too_large"),
		send("POST", "/alarms", w, alarm, 415, "unsupported_media_type", "Content-Type", "text/plain"),
		send("PUT", "/alarms/{alarm}", w, `{"enabled":false}`, 200, ""), send("PUT", "/alarms/{alarm}", w, alarm, 200, ""),
		send("PUT", "/alarms/77777", w, alarm, notFound, "not_found"), send("PUT", "/alarms/{alarm}", w, "{}", invalid, "invalid"),
		send("POST", "/samples", w, sample, 200, ""), send("POST", "/samples", w, "{", bad, "malformed"),
		send("POST", "/samples", w, strings.Replace(sample, `[1]}`, `["x"]}`, 1), invalid, ""),
		send("POST", "/samples", w, sample, 415, "unsupported_media_type", "Content-Type", "text/csv"),
		send("POST", "/samples", w, sample, 415, "unsupported_media_type", "Content-Encoding", "br"),
		send("POST", "/write", w, remoteBody, 204, "", "Content-Type", protoType1), send("POST", "/write", w, "x", bad, "malformed", "Content-Type", protoType1),
		send("POST", "/write", w, remoteBody, 415, "unsupported_media_type"), send("POST", "/write", r, remoteBody, 403, "forbidden"),
		send("POST", "!/write", w, "m,host=a v=1\n", 204, ""), send("POST", "!/write?precision=s", w, "m,host=a v=1\nbroken\n", bad, ""),
		send("POST", "!/write", r, "m v=1", 403, ""), send("POST", "!/write", w, "m v=1", 415, "", "Content-Encoding", "br"),
		send("POST", "!/api/v2/write", w, "m,host=a v=1\n", 204, ""), send("POST", "!/api/v2/write", w, "broken\n", bad, ""),
		send("POST", "!/api/v2/write", "none", "m v=1", 401, ""),
		send("POST", "!/v1/metrics", w, `{"resourceMetrics":[]}`, 200, ""), send("POST", "!/v1/metrics", w, "", 200, "", "Content-Type", "application/x-protobuf"),
		send("POST", "!/v1/metrics", w, metricsText("gauge", time.Now(), `,{"name":"h","histogram":{"dataPoints":[{}]}}`), 200, ""),
		send("POST", "!/v1/metrics", w, "{", bad, ""), send("POST", "!/v1/metrics", w, "{}", 415, "", "Content-Type", "text/plain"),
		send("POST", "!/v1/metrics", w, "x", bad, "", "Content-Type", "application/x-protobuf"),
		send("POST", "/files?instrument=file&zone=UTC", w, loggerText, 200, ""), send("POST", "/files?instrument=file", w, loggerText, bad, "zone_required"),
		send("POST", "/files?instrument=file&zone=UTC&map=x", w, loggerText, bad, "malformed"), send("POST", "/files?zone=UTC", w, loggerText, bad, "bad_label"),
		send("POST", "/files?instrument=file&zone=UTC", w, tableText, bad, "map_required"), send("POST", "/files?instrument=file&zone=UTC", w, "", bad, "malformed"),
		send("POST", "/files?instrument=file&zone=UTC&start=2093-01-01%2000:00:00", w, loggerText, invalid, ""),
		send("POST", "/files?instrument=file&zone=UTC", w, loggerText, 415, "unsupported_media_type", "Content-Encoding", "br"),
		send("POST", "/files?instrument=file", r, loggerText, 403, "forbidden"),
		get("/export?format=csv"), get("/export?format=csv&zone=Asia/Shanghai&" + match(`{channel="CH1"}`)),
		fails("/export", invalid, "invalid"), fails("/export?format=csv&zone=Nowhere", bad, "bad_time"),
		fails("/export?format=csv&"+match(`{channel="none"}`), notFound, "no_channel"),
		fails("/live?match=x", bad, "bad_selector"), fails("/live?"+match(`{channel="none"}`), notFound, "no_channel"),
		send("POST", "/session", "", `{"token":"`+f.both+`"}`, 204, ""), send("POST", "/session", "", "{", bad, "malformed"),
		send("POST", "/session", "", `{"token":"x"}`, 401, "unauthorized"),
		send("POST", "/session", "", `{"token":"x"}`, 415, "unsupported_media_type", "Content-Type", "text/plain"),
		send("POST", "/session", "", `{"token":"`+f.both+`"}`, 403, "forbidden", "Sec-Fetch-Site", "cross-site"),
		send("DELETE", "/session", r, "", 204, ""),
		send("GET", "/tokens", admin, "", 200, ""), send("GET", "/tokens?unit=ns", admin, "", 200, ""), send("POST", "/tokens", admin, `{"tenant":"new","name":"n","scope":"read"}`, 201, ""),
		send("POST", "/tokens", admin, `{"tenant":"new","samples_per_second":7}`, 201, ""), send("POST", "/tokens", admin, `{"tenant":"new","samples_per_second":-1}`, invalid, "invalid"),
		send("POST", "/tokens", admin, `{"tenant":"new","scope":"read","samples_per_second":7}`, invalid, "invalid"),
		send("POST", "/tokens", admin, `{"admin":true}`, 201, ""), send("POST", "/tokens", admin, `{"tenant":"../x"}`, invalid, "invalid"),
		send("POST", "/snapshot", admin, `{"out":`+strconv.Quote(filepath.Join(f.TempDir(), "copy"))+`}`, 200, ""),
		send("POST", "/snapshot", admin, `{"out":"copy"}`, bad, "malformed"), send("POST", "/snapshot", admin, `{"to":"/copy"}`, bad, "malformed"),
		send("POST", "/snapshot", w, `{"out":"/copy"}`, 403, "forbidden"),
		send("GET", "/tenants/lake", admin, "", 200, ""), send("GET", "/tenants/nobody", admin, "", notFound, "not_found"),
		send("PUT", "/tenants/lake", admin, `{"plan":"free","quota":{"bytes":100000,"channels":100,"channels_per_instrument":50,"samples_per_second":1000000},"over_quota":"freeze_writes_only","ends":4102444800000,"ending":"free"}`, 200, ""),
		send("PUT", "/tenants/fresh", admin, `{}`, 200, ""), send("PUT", "/tenants/lake", admin, `{"plan":"gold"}`, invalid, "invalid"),
		send("PUT", "/tenants/fresh", admin, `{"tenant":"fresh","plan":"","quota":{"bytes":100000},"limits":{"bytes":100000},"over_quota":"delete_all","ceiling_percent":110,"created":1,"ends":null,"ending":"keep","closes":null,"deletes":null,"unit":"s"}`, 200, ""),
		send("PUT", "/tenants/lake", admin, `{"quota":{"bytes":-1}}`, invalid, "invalid"), send("PUT", "/tenants/lake", admin, `{"quotas":{}}`, invalid, "invalid"),
		send("PUT", "/tenants/lake", admin, `{"ending":"at_end"}`, invalid, "invalid"), send("PUT", "/tenants/lake", admin, `{"ends":"soon"}`, invalid, "invalid"),
		send("PUT", "/tenants/lake", admin, `{"ends":9223372036854775}`, bad, "bad_time"),
		send("DELETE", "/tenants/fresh", admin, "", 200, ""), send("DELETE", "/tenants/fresh", admin, "", notFound, "not_found"),
		send("GET", "/outbox", admin, "", 200, ""), send("GET", "/outbox?limit=1&unit=ns", admin, "", 200, ""),
		send("GET", "/outbox?after=x", admin, "", bad, "malformed"),
		get("/usage"), get("/usage?unit=s&tenant=lake"), fails("/usage?tenant=other", notFound, "not_found"), fails("/usage?by=x", bad, "malformed"),
		send("GET", "/usage?tenant=lake", admin, "", 200, ""), send("GET", "/usage", admin, "", bad, "malformed"),
		get("/usage/days"), get("/usage/days?by=group"), get("/usage/days?by=channel"), fails("/usage/days?by=sample", bad, "malformed"),
		get("/retention"),
		send("PUT", "/retention", w, `{"rules":[{"scope":"instrument","match":"none","raw":"90d","1h":"6mo"},{"scope":"tenant","1d":"1y"}]}`, 200, ""),
		get("/retention"), get("/retention/effective"), fails("/retention/effective?"+match(`{channel="none"}`), notFound, "no_channel"),
		send("PUT", "/retention", w, `{"rules":[{"scope":"plan","raw":"1d"}]}`, invalid, "invalid"),
		send("PUT", "/retention", w, `{"rules":[{"scope":"tenant","raw":"1 day"}]}`, invalid, "invalid"),
		send("PUT", "/retention", w, `{"rules":[{"scope":"tenant","raw":"forever"}]}`, invalid, "invalid"), // the plan keeps a year
		send("PUT", "/retention", w, `{"rules":[{"scope":"group","raw":"1d"}]}`, invalid, "invalid"),
		send("PUT", "/retention", r, `{"rules":[]}`, 403, "forbidden"),
		send("PUT", "/retention?tenant=lake", admin, `{"rules":[]}`, 200, ""),
		send("DELETE", "/retention", w, "", 204, ""),
		send("DELETE", "/samples", w, "", bad, "malformed"), send("DELETE", "/samples?match=x", w, "", bad, "bad_selector"),
		send("DELETE", "/samples?"+match(`{channel="none"}`), w, "", notFound, "no_channel"),
		send("DELETE", "/samples?"+match(`{channel="CH1"}`)+"&from=now&to=now-1d", w, "", bad, "bad_span"),
		send("DELETE", "/samples?"+match(`{channel="CH1"}`)+"&form=now", w, "", bad, "malformed"),
		send("DELETE", "/samples?"+match(`{channel="CH3"}`)+"&from=2023-11-14T22:13:20Z&to=2023-11-14T22:13:21Z", w, "", 200, ""),
		send("DELETE", "/samples?"+match(`{channel="CH3"}`)+"&tenant=lake", admin, "", 200, ""),
		send("DELETE", "/channels", w, "", bad, "malformed"), send("DELETE", "/channels?"+match(`{channel="CH3"}`), w, "", 200, ""),
		send("DELETE", "/channels?"+match(`{channel="CH3"}`), w, "", notFound, "no_channel"),
		send("DELETE", "/tokens/{token}", admin, "", 204, ""), send("DELETE", "/tokens/none", admin, "", notFound, "not_found"),
		send("DELETE", "/alarms/{alarm}", w, "", 204, ""), send("DELETE", "/alarms/{alarm}", w, "", notFound, "not_found"),
	}
}

// TestDocument holds answers to the schemas of the document, and the document
// to what is answered: every operation succeeds at least once.
func TestDocument(t *testing.T) {
	f := start(t)
	f.fill()
	alarm := f.alarm()
	// An event: a start and an end.
	for _, body := range []string{`[31]`, `["over"]`, `[1]`} {
		f.ask("POST", "/api/v1/samples", f.writer,
			`{"channels":[{"labels":{"instrument":"logger","channel":"CH1"},"times":[17000001000`+strconv.Itoa(len(body))+`0],"values":`+body+`}]}`)
	}
	f.ask("POST", "/api/v1/samples", f.writer, `{"channels":[{"labels":{"instrument":"logger","channel":"CH3"},
		"properties":{"name":"n","unit":"V","decimals":2},"times":[1700000000000,1700000001000],"values":["burnout","NaN"]}]}`)
	var victim string
	for _, made := range f.server.tokens.List() {
		if made.Tenant == "other" {
			victim = made.ID
		}
	}
	document := f.server.document.OpenAPI()
	met := map[string]bool{}
	for _, r := range f.requests() {
		bare, _, _ := strings.Cut(r.path, "?")
		path := strings.NewReplacer("{alarm}", alarm, "{token}", victim).Replace(r.path)
		for _, p := range []*string{&bare, &path} {
			own, other := strings.CutPrefix(*p, "!")
			if *p = own; !other {
				*p = prefix + own
			}
		}
		answer, text := f.ask(r.method, path, r.token, r.body, r.headers...)
		what := r.method + " " + r.path
		if answer.StatusCode != r.status {
			t.Errorf("%s %.80s: %d, want %d: %.300s", what, r.body, answer.StatusCode, r.status, text)
			continue
		}
		if r.code != "" {
			checkProblem(t, what, answer, text)
			if !strings.Contains(text, `"code":"`+r.code+`"`) {
				t.Errorf("%s: want code %s: %s", what, r.code, text)
			}
		}
		operation := operationOf(document, r.method, bare)
		if operation == nil {
			t.Errorf("%s is not in the document", what)
			continue
		}
		if r.status < 300 {
			met[operation.OperationID] = true
		}
		holdsTo(t, what, document, operation, answer, text)
	}
	for _, item := range document.Paths {
		for _, operation := range []*huma.Operation{item.Get, item.Post, item.Put, item.Delete} {
			if operation != nil && !met[operation.OperationID] && operation.OperationID != "live" {
				t.Errorf("%s %s never succeeded here", operation.Method, operation.Path)
			}
		}
	}
}

// operationOf finds an operation by a path that may have IDs.
func operationOf(document *huma.OpenAPI, method, path string) *huma.Operation {
	for pattern, item := range document.Paths {
		have, want := strings.Split(path, "/"), strings.Split(pattern, "/")
		if len(have) != len(want) {
			continue
		}
		if slices.EqualFunc(have, want, func(a, b string) bool { return a == b || strings.HasPrefix(b, "{") }) {
			return map[string]*huma.Operation{"GET": item.Get, "POST": item.Post, "PUT": item.Put, "DELETE": item.Delete}[method]
		}
	}
	return nil
}

// holdsTo checks an answer against its schema in the document.
func holdsTo(t *testing.T, what string, document *huma.OpenAPI, operation *huma.Operation, answer *http.Response, text string) {
	t.Helper()
	response := operation.Responses[strconv.Itoa(answer.StatusCode)]
	if response == nil {
		t.Errorf("%s: the document has no %d", what, answer.StatusCode)
		return
	}
	media, _, _ := strings.Cut(answer.Header.Get("Content-Type"), ";")
	if len(response.Content) == 0 {
		if text != "" {
			t.Errorf("%s: the document has no body: %q", what, text)
		}
		return
	}
	content := response.Content[media]
	if content == nil {
		t.Errorf("%s: %d of type %q is not in the document", what, answer.StatusCode, media)
		return
	}
	if !isJSON(media) {
		return
	}
	var body any
	if err := json.Unmarshal([]byte(text), &body); err != nil {
		t.Errorf("%s: %v: %s", what, err, text)
		return
	}
	result := &huma.ValidateResult{}
	content.Schema.PrecomputeMessages()
	huma.Validate(document.Components.Schemas, content.Schema, huma.NewPathBuffer(nil, 0), huma.ModeReadFromServer, body, result)
	if len(result.Errors) > 0 {
		t.Errorf("%s: %d errors, the first: %v\n%.300s", what, len(result.Errors), result.Errors[0], text)
	}
}

// TestDocumentIsPlain holds the document to what other programs take, and its
// page to this host.
func TestDocumentIsPlain(t *testing.T) {
	f := start(t)
	_, text := f.ask("GET", "/api/v1/openapi.json", "", "")
	for _, wanted := range []string{`"openapi":"3.1.0"`, `"/api/v1/samples"`, `"application/problem+json"`, `"bearer"`, sessionCookie} {
		if !strings.Contains(text, wanted) {
			t.Errorf("the document lacks %s", wanted)
		}
	}
	answer, page := f.ask("GET", "/api/v1/docs", "", "")
	if answer.StatusCode != 200 || !strings.Contains(page, "/api/v1/samples") || !strings.Contains(page, "SamplesBody") {
		t.Errorf("the page: %d %.200s", answer.StatusCode, page)
	}
	for _, wanted := range []string{"curl ", "/api/v1/live", "event: samples", "32 MiB", "channels of one view", "burnout", "ms where it is left out", "zstd", "no_channel", `href="/monitor"`} {
		if !strings.Contains(page, wanted) {
			t.Errorf("the page lacks %s", wanted)
		}
	}
	if rows := strings.Count(page, "<td>401</td>"); rows != 1 {
		t.Errorf("the page says of 401 %d times", rows)
	}
	for _, foreign := range []string{"http://", "https://", "<script", "style="} {
		if strings.Contains(page, foreign) {
			t.Errorf("the page holds %s", foreign)
		}
	}
}
