package server

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/server/api"
)

const (
	loggerText = "\"File name\",\"W.CSV\",\"V 1.00\"\n\"Trigger Time\",\"'23-11-14 22:13:20\"\n\"Time\",\"1-1[V]\",\"Event\",\n" +
		" 0.0E+00, 1.25E+00,0,\n 1.0E+00,BURNOUT,0,\n 2.0E+00, x,1,\n"
	tableText = "when,T\n2023-11-14 22:13:20,1.5\n2023-11-14 22:13:21,-9999\n"
)

// imported sends a file and returns the answer.
func (f *fixture) imported(status int, body string, parameters url.Values, headers ...string) api.ImportBody {
	f.Helper()
	answer, text := f.ask("POST", "/api/v1/files?"+parameters.Encode(), f.writer, body, headers...)
	if answer.StatusCode != status {
		f.Fatalf("%v: %d, want %d: %s", parameters, answer.StatusCode, status, text)
	}
	var imported api.ImportBody
	if status == 200 || status == 422 {
		if err := json.Unmarshal([]byte(text), &imported); err != nil {
			f.Fatal(err, text)
		}
	}
	return imported
}

// A file that is a body answers as hokan import does, and what it says is kept
// can be read.
func TestFilesAreImported(t *testing.T) {
	f := start(t)
	p := url.Values{"instrument": {"pond"}, "zone": {"Asia/Tokyo"}, "name": {"W.CSV"}, "unit": {"s"}}
	got := f.imported(200, loggerText, p)
	file := got.Files[0]
	if file.File != "W.CSV" || file.Dialect != "hioki-lr8400" || file.Channels != 2 || file.Rows != 3 || got.Accepted != 5 || got.Rejected != 1 ||
		*file.From != 1699967600 || file.Errors[0].Line != 6 || file.Errors[0].Code != "not_a_number" || got.Unit != "s" {
		t.Errorf("%+v", got)
	}
	_, text := f.ask("GET", "/api/v1/table?"+match(`{instrument="pond"}`)+"&unit=s", f.reader, "")
	if !strings.Contains(text, `"times":[1699967600,1699967601,1699967602],"rows":[[1.25,0],["burnout",0],[null,1]]`) {
		t.Errorf("%s", text)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte(loggerText))
	z.Close()
	if again := f.imported(200, packed.String(), p, "Content-Encoding", "gzip"); again.Accepted != 5 {
		t.Errorf("%+v", again)
	}
}

func TestTablesNeedAMapOverHTTP(t *testing.T) {
	f := start(t)
	p := url.Values{"instrument": {"air"}, "zone": {"UTC"}}
	f.imported(400, tableText, p)
	p.Set("dry_run", "true")
	guess := f.imported(200, tableText, p).Files[0]
	if guess.Map != "separator=comma,decimal=point,header=1,time=when,format=YYYY-MM-DD hh:mm:ss,channel=T,missing=-9999,words=" || guess.Rows != 2 {
		t.Errorf("%+v", guess)
	}
	if _, text := f.ask("GET", "/api/v1/channels?"+match(`{instrument="air"}`), f.reader, ""); !strings.Contains(text, `"channels":[]`) {
		t.Errorf("a dry run kept %s", text)
	}
	p.Del("dry_run")
	p.Set("map", guess.Map)
	if got := f.imported(200, tableText, p); got.Accepted != 2 {
		t.Errorf("%+v", got)
	}
	_, text := f.ask("GET", "/api/v1/latest?"+match(`{instrument="air"}`), f.reader, "")
	if !strings.Contains(text, `"value":"nodata"`) {
		t.Errorf("%s", text)
	}
}

// What the way in refuses of a file is counted with what its reader refuses.
func TestFilesGoThroughAdmission(t *testing.T) {
	f := start(t)
	p := url.Values{"instrument": {"pond"}, "zone": {"UTC"}, "start": {"2093-01-01 00:00:00"}}
	got := f.imported(422, loggerText, p)
	if got.Accepted != 0 || got.Rejected != 6 || got.Files[0].Reasons["too_far_ahead"] != 5 || got.Files[0].Reasons["not_a_number"] != 1 ||
		len(got.Files[0].Errors) != 6 {
		t.Errorf("%+v", got)
	}
}

func TestFilesInTheFormatHOKAreRefused(t *testing.T) {
	f := start(t)
	f.imported(415, engine.Magic+"\x01", url.Values{"instrument": {"pond"}})
}

// What is no file, too large, or lacks a parameter is refused with the way out,
// which is none of the command line's flags.
func TestRefusedFilesAreToldTheWayOut(t *testing.T) {
	f := start(t, func(o *Options) { o.Limits.BodyBytes = 1 << 20 })
	refused := func(status int, says, body string, p url.Values, headers ...string) {
		t.Helper()
		answer, text := f.ask("POST", "/api/v1/files?"+p.Encode(), f.writer, body, headers...)
		var problem Problem
		if err := json.Unmarshal([]byte(text), &problem); err != nil {
			t.Fatal(err, text)
		}
		if answer.StatusCode != status || !strings.Contains(problem.Detail, says) || status != 413 && strings.Contains(strings.ReplaceAll(problem.Detail, "--data-binary", ""), "--") {
			t.Errorf("%d, want %d: %s", answer.StatusCode, status, problem.Detail)
		}
	}
	pond := url.Values{"instrument": {"pond"}}
	refused(415, "multipart/form-data: send the file itself, as with curl --data-binary @FILE", loggerText, pond, "Content-Type", "multipart/form-data; boundary=x")
	refused(413, "1048576 bytes: send several files; hokan import --server takes a file of any size", strings.Repeat("x", 1<<20+1), pond)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(bytes.Repeat([]byte("x"), 2<<20))
	z.Close()
	refused(413, "bytes unpacked: send several files; hokan import --server", packed.String(), pond, "Content-Encoding", "gzip")
	refused(400, "the query parameter instrument is required", loggerText, url.Values{})
	refused(400, "give zone, such as", loggerText, pond)
	refused(400, "see with dry_run=true what would become of it, and say map=auto, or as it is guessed: map='separator=", tableText, pond)
	f.imported(200, loggerText, url.Values{"instrument": {"pond"}, "zone": {"UTC"}}, "Content-Type", "application/x-www-form-urlencoded")

	const clocks = "when,T\n2024-03-31 01:59:59,1\n2024-03-31 02:30:00,2\n"
	got := f.imported(200, clocks, url.Values{"instrument": {"air"}, "zone": {"Europe/Berlin"}, "map": {"auto"}})
	if len(got.Files[0].Errors) != 1 || strings.Contains(got.Files[0].Errors[0].Detail, "--") {
		t.Errorf("%+v", got.Files[0].Errors)
	}
}
