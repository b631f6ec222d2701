package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/server/api"
)

// serve answers every request with f.
func serve(t *testing.T, f http.HandlerFunc) *Client {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	c, err := New(s.URL+"/", "secret")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func labels(t *testing.T, channel string) model.Labels {
	t.Helper()
	l, err := model.NewLabels(model.Label{Name: "instrument", Value: "i"}, model.Label{Name: "channel", Value: channel})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func rows(n int) ([]int64, []float64) {
	times, values := make([]int64, n), make([]float64, n)
	for i := range times {
		times[i], values[i] = int64(i), float64(i)
	}
	return times, values
}

// request is what arrives at POST /samples.
type request struct {
	Unit     string `msgpack:"unit"`
	Times    []byte `msgpack:"times"`
	Channels []struct {
		Labels     map[string]string `msgpack:"labels"`
		Properties map[string]any    `msgpack:"properties"`
		Times      []byte            `msgpack:"times"`
		Values     []byte            `msgpack:"values"`
	} `msgpack:"channels"`
}

func received(t *testing.T, r *http.Request) (got request) {
	t.Helper()
	if r.Method != "POST" || r.URL.Path != "/api/v1/samples" || r.Header.Get("Authorization") != "Bearer secret" ||
		r.Header.Get("Content-Type") != "application/msgpack" || r.Header.Get("Content-Encoding") != "zstd" {
		t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
	}
	z, err := zstd.NewReader(r.Body)
	if err != nil {
		t.Error(err)
		return got
	}
	defer z.Close()
	if err := msgpack.NewDecoder(z).Decode(&got); err != nil {
		t.Error(err)
	}
	return got
}

func TestWriteSendsASharedClockOnce(t *testing.T) {
	times, values := rows(3)
	own, ownValues := rows(2)
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got := received(t, r)
		if got.Unit != "ns" || len(got.Times) != 24 || len(got.Channels) != 3 || got.Channels[0].Times != nil ||
			got.Channels[1].Times != nil || len(got.Channels[2].Times) != 16 || len(got.Channels[2].Values) != 16 {
			t.Errorf("%+v", got)
		}
		p := got.Channels[1].Properties
		if got.Channels[0].Properties != nil || len(p) != 3 || p["unit"] != "V" || p["decimals"] != int8(0) || p["name"] != "N" {
			t.Errorf("properties %v", p)
		}
		if got.Channels[2].Labels["channel"] != "c" {
			t.Errorf("labels %v", got.Channels[2].Labels)
		}
		io.WriteString(w, `{"accepted":8,"rejected":0,"reasons":{},"errors":[]}`)
	})
	body, err := c.Write(t.Context(), &model.Batch{Columns: []model.Column{
		{Labels: labels(t, "a"), Times: times, Values: values},
		{Labels: labels(t, "b"), Properties: &model.Properties{Name: "N", Unit: "V", HasDecimals: true}, Times: times, Values: values},
		{Labels: labels(t, "c"), Times: own, Values: ownValues},
	}})
	if err != nil || body.Accepted != 8 {
		t.Errorf("%+v, %v", body, err)
	}
}

// TestWriteSplitsWhatIsTooLarge writes columns that fit together, and one that
// does not fit alone.
func TestWriteSplitsWhatIsTooLarge(t *testing.T) {
	requests, samples := 0, 0
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got, n := received(t, r), 0
		for _, ch := range got.Channels {
			n += len(ch.Values) / 8
		}
		if n > maxSamples {
			t.Errorf("a request of %d samples", n)
		}
		requests++
		samples += n
		json.NewEncoder(w).Encode(api.SamplesBody{Accepted: int64(n - 1), Rejected: 1, Reasons: map[string]int64{"bad_time": 1},
			Errors: []api.SampleError{{Channel: 0, Index: 0, Code: "bad_time"}}})
	})
	small, smallValues := rows(maxSamples / 2)
	large, largeValues := rows(2*maxSamples + 1)
	body, err := c.Write(t.Context(), &model.Batch{Columns: []model.Column{
		{Labels: labels(t, "a"), Times: small, Values: smallValues}, {Labels: labels(t, "b"), Times: small, Values: smallValues},
		{Labels: labels(t, "c"), Times: large, Values: largeValues}, {Labels: labels(t, "d"), Times: small, Values: smallValues},
	}})
	if err != nil || requests != 5 || samples != 3*(maxSamples/2)+2*maxSamples+1 || body.Rejected != 5 ||
		body.Accepted != int64(samples-5) || body.Reasons["bad_time"] != 5 || body.Errors[4].Channel != 3 || body.Errors[1].Channel != 2 {
		t.Errorf("%d requests of %d samples, %+v, %v", requests, samples, body, err)
	}
}

func TestWriteTellsWhatWasRefused(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnprocessableEntity)
		io.WriteString(w, `{"accepted":0,"rejected":1,"reasons":{"bad_time":1},"errors":[{"channel":0,"index":0,"code":"bad_time","detail":"x"}]}`)
	})
	times, values := rows(1)
	body, err := c.Write(t.Context(), &model.Batch{Columns: []model.Column{{Labels: labels(t, "a"), Times: times, Values: values}}})
	if code(err) != "nothing_accepted" || body.Rejected != 1 || body.Errors[0].Detail != "x" {
		t.Errorf("%+v, %v", body, err)
	}
}

func TestWriteAsksABusyServerAgain(t *testing.T) {
	asked := 0
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		received(t, r)
		if asked++; asked == 1 {
			w.Header().Set("Content-Type", "application/problem+json")
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			io.WriteString(w, `{"code":"busy","detail":"later"}`)
			return
		}
		io.WriteString(w, `{"accepted":1,"rejected":0,"reasons":{},"errors":[]}`)
	})
	times, values := rows(1)
	batch := &model.Batch{Columns: []model.Column{{Labels: labels(t, "a"), Times: times, Values: values}}}
	if body, err := c.Write(t.Context(), batch); err != nil || body.Accepted != 1 || asked != 2 {
		t.Errorf("%+v, %v after %d requests", body, err, asked)
	}
	asked = 0
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := c.Write(ctx, batch); !errors.Is(err, context.Canceled) {
		t.Errorf("called off: %v", err)
	}
}

func code(err error) string {
	if err == nil {
		return ""
	}
	return api.AsError(err).Code
}

func TestAnswersThatAreNone(t *testing.T) {
	f := func(status int, kind, text, want, detail string) {
		t.Helper()
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.Header().Set("Location", "http://elsewhere.invalid/")
			w.WriteHeader(status)
			io.WriteString(w, text)
		})
		_, err := c.Channels(t.Context(), api.Selection{})
		if code(err) != want || !strings.Contains(err.Error(), detail) {
			t.Errorf("status %d: %v", status, err)
		}
	}
	f(404, "application/problem+json; charset=utf-8", `{"code":"no_channel","detail":"none of it"}`, "no_channel", "none of it")
	f(502, "text/html", "<h1>Bad gateway</h1>", "unavailable", "502")
	f(500, "application/problem+json", "{", "internal", "500")
	f(302, "text/html", "", "internal", "302")
	f(200, "text/html", "<p>hello", "internal", "no answer of a Hokan server")
	c, err := New("http://127.0.0.1:1", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Alarms(t.Context(), ""); code(err) != "unavailable" || !strings.Contains(err.Error(), "nothing answers at http://127.0.0.1:1:") {
		t.Errorf("nobody there: %v", err)
	}
	if _, err := New("http://127.0.0.1:1", "hkn_x\n"); code(err) != "malformed" {
		t.Errorf("a token with a line feed: %v", err)
	}
	for _, address := range []string{"", "127.0.0.1:4180", "ftp://x", "http://", "http://x?y=1", "http://x/#token=y", "http://[::1"} {
		if _, err := New(address, ""); code(err) != "malformed" {
			t.Errorf("address %q: %v", address, err)
		}
	}
}

func TestLiveEvents(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery != "match=%7Bx%3D%22y%22%7D&unit=s" {
			t.Errorf("query %s", r.URL.RawQuery)
		}
		io.WriteString(w, ": hello\n\nevent: samples\ndata: {\"a\":\ndata: 1}\n\n: still there\n\nevent: missed\ndata:{}\nid: 7\n\nevent: cut\ndata: {")
	})
	var got []string
	visit := func(kind string, data []byte) error {
		got = append(got, kind+" "+string(data))
		return nil
	}
	if err := c.Live(t.Context(), `{x="y"}`, "s", visit); err != nil {
		t.Error(err)
	}
	if want := "samples {\"a\":\n1}|missed {}"; strings.Join(got, "|") != want {
		t.Errorf("events %q", got)
	}
	stop := errors.New("enough")
	if err := c.Live(t.Context(), `{x="y"}`, "s", func(string, []byte) error { return stop }); err != stop {
		t.Errorf("the visitor's error is %v", err)
	}
}

// TestWrongScheme: who speaks plaintext to a TLS server, or TLS to one that
// speaks none, or does not trust the certificate, is told so.
func TestWrongScheme(t *testing.T) {
	plain, secure := httptest.NewServer(http.NotFoundHandler()), httptest.NewTLSServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	defer plain.Close()
	defer secure.Close()
	for address, want := range map[string]string{
		strings.Replace(plain.URL, "http:", "https:", 1):  "invalid: " + strings.Replace(plain.URL, "http:", "https:", 1) + " does not speak TLS: use " + plain.URL,
		strings.Replace(secure.URL, "https:", "http:", 1): "invalid: " + strings.Replace(secure.URL, "https:", "http:", 1) + " speaks TLS: use " + secure.URL,
		secure.URL: "untrusted: the certificate of " + secure.URL + " is not trusted: x509: certificate signed by unknown authority; if it is the right server, name",
	} {
		c, err := New(address, "x")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Alarms(t.Context(), ""); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", address, err, want)
		}
		c.Close()
	}
}

// TestFollow: a stream that ends is asked for again, until the server refuses.
func TestFollow(t *testing.T) {
	asked := 0
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch asked++; asked {
		case 1, 4:
			io.WriteString(w, "retry: 1\n\nevent: samples\ndata: {}\n\n")
		case 2:
			w.WriteHeader(http.StatusBadGateway)
		case 3: // in the middle of a stream
			io.WriteString(w, "retry: 1\n\n")
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		default:
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusUnauthorized)
			io.WriteString(w, `{"code":"unauthorized","detail":"it was revoked"}`)
		}
	})
	samples := 0
	var told []string
	err := c.Follow(t.Context(), "", "", func(string, []byte) error { samples++; return nil },
		func(err error) { told = append(told, code(err)) })
	if code(err) != "unauthorized" || samples != 2 || asked != 5 {
		t.Errorf("%v after %d requests and %d events", err, asked, samples)
	}
	if want := []string{"interrupted", "", "unavailable", "", "interrupted"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
	// What is refused at once is no stream that was lost.
	err = c.Follow(t.Context(), "", "", nil, func(err error) { t.Errorf("lost: %v", err) })
	if code(err) != "unauthorized" {
		t.Error(err)
	}
}

func FuzzEvents(f *testing.F) {
	f.Add("event: a\ndata: b\n\n")
	f.Add(":\n\ndata\n\nevent\n\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		if err := readEvents(strings.NewReader(text), func(time.Duration) {}, func(string, []byte) error { return nil }); err == nil {
			t.Error("it has no end")
		}
	})
}
