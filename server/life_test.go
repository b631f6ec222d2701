package server

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/server/auth"
)

const day = 24 * time.Hour

// life is a server on a clock that the test moves, asked over HTTP alone. It
// can be started again at any time.
type life struct {
	*testing.T
	fs           *vfs.MemFS
	now          atomic.Int64
	db           *engine.DB
	server       *Server
	web          *httptest.Server
	admin, token string // of everything, of the tenant t

	cursor string   // of what reads the outbox on, as a sender of notices does
	told   []string // the kinds that it was given
	rows   int      // written so far, a second apart
}

func newLife(t *testing.T) *life {
	l := &life{T: t, fs: vfs.NewMem()}
	l.now.Store(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixNano())
	l.open()
	t.Cleanup(l.close)
	l.admin = l.newToken(auth.Token{Admin: true})
	l.token = l.newToken(auth.Token{Tenant: "t"})
	return l
}

func (l *life) clock() time.Time { return time.Unix(0, l.now.Load()).UTC() }

func (l *life) open() {
	l.Helper()
	var err error
	if l.db, err = engine.Open(engine.Options{FS: l.fs, Dir: "data", Clock: l.clock, Manual: true}); err != nil {
		l.Fatal(err)
	}
	if l.server, err = New(Options{DB: l.db, Clock: l.clock}); err != nil {
		l.Fatal(err)
	}
	l.web = httptest.NewServer(l.server.Handler())
}

func (l *life) close() {
	l.web.Close()
	if err := l.db.Close(); err != nil {
		l.Error(err)
	}
}

func (l *life) restart() {
	l.Helper()
	l.close()
	l.open()
}

func (l *life) newToken(t auth.Token) string {
	l.Helper()
	secret, _, err := l.server.tenants.CreateToken(l.Context(), t)
	if err != nil {
		l.Fatal(err)
	}
	return secret
}

// at moves the clock and lets the server sweep.
func (l *life) at(now time.Time) {
	l.Helper()
	l.now.Store(now.UnixNano())
	l.sweep()
}

func (l *life) sweep() {
	l.Helper()
	if err := l.server.tenants.Sweep(l.Context()); err != nil {
		l.Fatal(err)
	}
}

// ask sends a request, wants a status, and decodes the answer.
func (l *life) ask(status int, token, method, path, body string, into any) {
	l.Helper()
	r, err := http.NewRequest(method, l.web.URL+"/api/v1"+path, strings.NewReader(body))
	if err != nil {
		l.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		l.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		l.Fatal(err)
	}
	if answer.StatusCode != status {
		l.Fatalf("%s %s at %v: %d, want %d: %s", method, path, l.clock(), answer.StatusCode, status, text)
	}
	if into != nil {
		if err := json.Unmarshal(text, into); err != nil {
			l.Fatalf("%v in %s", err, text)
		}
	}
}

// agree sets what is agreed with the tenant t.
func (l *life) agree(terms string) {
	l.Helper()
	l.ask(200, l.admin, "PUT", "/tenants/t?unit=ns", terms, nil)
}

// write writes so many rows of a channel, 2 bytes each, on the day that is so
// many days ago, each at a time of its own.
func (l *life) write(status int, channel string, daysAgo, rows int) {
	l.Helper()
	var times, values []string
	begin := l.clock().Truncate(day).Add(-time.Duration(daysAgo) * day)
	for range rows {
		times = append(times, fmt.Sprint(begin.Add(time.Duration(l.rows)*time.Second).UnixNano()))
		values = append(values, "1.5")
		l.rows++
	}
	l.ask(status, l.token, "POST", "/samples", fmt.Sprintf(`{"unit":"ns","times":[%s],"channels":[{"labels":{"instrument":"i","channel":%q},"values":[%s]}]}`,
		strings.Join(times, ","), channel, strings.Join(values, ",")), nil)
}

// erase deletes what a selector names: channels, or their samples before a time.
func (l *life) erase(match, before string) {
	l.Helper()
	path := "/channels?match=" + url.QueryEscape(match)
	if before != "" {
		path = "/samples?to=" + before + "&match=" + url.QueryEscape(match)
	}
	l.ask(200, l.token, "DELETE", path, "", nil)
}

// standing is the answer of GET /usage, in nanoseconds.
type standing struct {
	Bytes    struct{ Used int }
	State    string
	Deadline *int64
}

// stands checks how the tenant stands, and that the outbox has told as much; all
// of it both before and after a restart.
func (l *life) stands(state string, used int, told ...string) *standing {
	l.Helper()
	var u standing
	for again := range 2 {
		if again == 1 {
			l.restart()
			l.sweep()
		}
		u = standing{}
		l.ask(200, l.token, "GET", "/usage?unit=ns", "", &u)
		if u.State != state || u.Bytes.Used != used || (u.Deadline != nil) != (state == "over") {
			l.Fatalf("at %v: %+v, want %s and %d bytes", l.clock(), u, state, used)
		}
		l.tells(told...)
	}
	return &u
}

// event is one of GET /outbox.
type event struct {
	ID, Tenant, Kind string
	Time             int64
	Detail           map[string]any
}

// events reads the outbox behind a cursor.
func (l *life) events(after string) (all []event, cursor string) {
	l.Helper()
	for cursor = after; ; {
		var page struct {
			Events []event
			Next   *string
		}
		l.ask(200, l.admin, "GET", "/outbox?limit=2&unit=ns&after="+cursor, "", &page)
		all = append(all, page.Events...)
		if page.Next == nil {
			return all, cursor
		}
		cursor = *page.Next
	}
}

// tells checks what the outbox has told so far: to one who reads on, and to one
// who reads all of it, every time in the same words.
func (l *life) tells(kinds ...string) []event {
	l.Helper()
	var news []event
	news, l.cursor = l.events(l.cursor)
	for _, e := range news {
		l.told = append(l.told, e.Kind)
	}
	all, _ := l.events("")
	var read []string
	for i, e := range all {
		read = append(read, e.Kind)
		if at := i - (len(all) - len(news)); at >= 0 && (e.ID != news[at].ID || e.Time != news[at].Time) {
			l.Errorf("event %d is %+v, and was %+v", i, e, news[at])
		}
	}
	if fmt.Sprint(l.told) != fmt.Sprint(kinds) || fmt.Sprint(read) != fmt.Sprint(kinds) {
		l.Fatalf("at %v: told %v, told anew %v, want %v", l.clock(), l.told, read, kinds)
	}
	return all
}

// left counts the rows that the tenant can read.
func (l *life) left() int {
	l.Helper()
	var view struct{ Channels []struct{ Samples int } }
	l.ask(200, l.token, "GET", "/channels", "", &view)
	rows := 0
	for _, c := range view.Channels {
		rows += c.Samples
	}
	return rows
}

// TestOverQuotaLife leads a tenant over its quota, by each policy, to its end,
// with a restart after every step.
func TestOverQuotaLife(t *testing.T) {
	for policy, end := range map[string]func(*life, []string){
		"delete_oldest_until_fit": func(l *life, told []string) {
			l.stands("ok", 638, append(told, "deleted")...)
			if l.left() != 319 { // the oldest day is gone, and no other
				l.Errorf("%d rows are left", l.left())
			}
		},
		"delete_all": func(l *life, told []string) {
			l.stands("ok", 0, append(told, "deleted")...)
			if l.left() != 0 {
				l.Errorf("%d rows are left", l.left())
			}
			l.write(200, "a", 0, 1)
		},
		"freeze_writes_only": func(l *life, told []string) {
			l.stands("over", 1038, told...)
			if l.left() != 519 {
				l.Errorf("%d rows are left", l.left())
			}
			l.write(507, "a", 0, 1)
			l.erase("{}", "2026-02-28T00:00:00Z")
			l.stands("ok", 638, told...)
			l.write(200, "a", 0, 1)
		},
	} {
		t.Run(policy, func(t *testing.T) {
			l := newLife(t)
			l.agree(`{"quota":{"bytes":1000},"over_quota":"` + policy + `"}`)
			deadline := l.over(policy)
			told := []string{"capacity_low", "capacity_low", "over_quota"}
			l.write(200, "v", 0, 18)
			l.write(200, "w", 0, 31) // 1100: the ceiling
			l.write(507, "v", 0, 1)
			l.ask(200, l.token, "GET", "/export?format=csv", "", nil) // what is there can be had
			l.erase(`{channel="w"}`, "")
			if err := l.db.Flush(l.Context()); err != nil {
				t.Fatal(err)
			}
			for _, early := range []time.Duration{31*day - 1, time.Hour, time.Millisecond, 1} {
				l.at(deadline.Add(-early))
				l.stands("over", 1038, told...)
			}
			l.at(deadline)
			end(l, append(told, "over_quota_deadline"))
		})
	}
}

// over lets the tenant come over its quota of 1000 bytes, after it was low
// twice, and returns its deadline.
func (l *life) over(policy string) time.Time {
	l.Helper()
	l.write(200, "a", 2, 200)
	l.write(200, "a", 1, 50)
	l.write(200, "a", 0, 190) // 880
	l.write(200, "b", 0, 1)
	l.write(200, "x", 0, 9)
	l.stands("ok", 900) // exactly a tenth is left
	l.write(200, "y", 0, 1)
	l.stands("low", 902, "capacity_low")
	l.write(200, "z", 0, 9)
	l.stands("low", 920, "capacity_low") // told once
	l.erase(`{channel=~"x|y|z"}`, "")
	l.stands("low", 882, "capacity_low") // 11.8 % are left
	l.write(200, "x", 0, 10)
	l.stands("low", 902, "capacity_low") // not armed
	l.erase(`{channel=~"b|x"}`, "")
	l.stands("ok", 880, "capacity_low") // 12 % are left
	l.write(200, "x", 0, 11)
	l.stands("low", 902, "capacity_low", "capacity_low")
	l.write(200, "x", 0, 49)
	l.stands("low", 1000, "capacity_low", "capacity_low") // full is not over
	deadline := l.clock().Add(31 * day)
	l.write(200, "x", 0, 1)
	u := l.stands("over", 1002, "capacity_low", "capacity_low", "over_quota")
	d := l.tells("capacity_low", "capacity_low", "over_quota")[2].Detail
	if *u.Deadline != deadline.UnixNano() || d["deadline"] != float64(deadline.UnixNano()) || d["policy"] != policy || d["used"] != 1002.0 || d["quota"] != 1000.0 {
		l.Fatalf("deadline %v, told %v", time.Unix(0, *u.Deadline).UTC(), d)
	}
	return deadline
}
