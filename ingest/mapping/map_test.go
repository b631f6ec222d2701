package mapping

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// What a map says is written as it is read.
func TestMapsAreTheirText(t *testing.T) {
	for _, source := range []string{
		"",
		"separator=semicolon,decimal=comma,header=1,time=Date+Time,format=DD/MM/YYYY hh.mm.ss,zone=Europe/Rome,channel=T+RH:humidity[%],missing=-200+NA,words=open:1+shut:-0.5",
		`header=0,data=5,time=1,format=unix-ms,channel="2"+2:"a,b+c:d""e""",missing=""+-,words=`,
		"interval=20ms,start=2024-01-01 00:00:00+01:00,channel=x",
		`separator=tab,format="YYYY,MM,DD"`,
		"format=h:mm:ss", "format=h", "zone=+09:00", "missing=", "words=",
	} {
		m, err := Parse(source)
		if err != nil {
			t.Errorf("%q: %v", source, err)
		} else if got := m.String(); got != source {
			t.Errorf("%q is written %q", source, got)
		}
	}
	if m, err := Parse("auto"); err != nil || m.String() != "" {
		t.Errorf("%v, %v", m, err)
	}
	if m, err := Parse(` time = "a" , separator=",", decimal="," `); err != nil || m.String() != "separator=comma,decimal=comma,time=a" {
		t.Errorf("%v, %v", m, err)
	}
}

func TestBadMaps(t *testing.T) {
	f := func(source, contains string) {
		t.Helper()
		if m, err := Parse(source); err == nil || !strings.Contains(err.Error(), contains) {
			t.Errorf("%q: %v, %v", source, m, err)
		}
	}
	f("x", "no KEY=VALUE")
	f("colour=red", "no such setting")
	f("time=a,time=b", "twice")
	f("time=a++b", "empty")
	f(`time="a`, "not closed")
	f("separator=dot", "semicolon")
	f("decimal=x", "comma or point")
	f("header=-1", "line")
	f("data=0", "line")
	f("format=noon", "no date")
	f("format=unix-h", "unix-ms")
	f("interval=0s", "above 0")
	f("interval=soon", "duration")
	f("zone=Mars/Phobos", "no IANA time zone")
	f("zone=Local", "no IANA time zone")
	f("channel=a:b:c", "COLUMN:NAME")
	f("channel=", "COLUMN:NAME")
	f("words=a", "WORD:NUMBER")
	f("words=a:b", "WORD:NUMBER")
	f("time=a,interval=1s", "exclude")
}

func TestAnyMapIsItsText(t *testing.T) {
	name := rapid.StringMatching(`[ -~äÖ温]{1,6}`)
	rapid.Check(t, func(t *rapid.T) {
		m := Map{Header: rapid.IntRange(-1, 3).Draw(t, "header"), missing: true, words: true}
		ref := func() Ref {
			if n := rapid.IntRange(0, 3).Draw(t, "number"); n > 0 {
				return Ref{Number: n}
			}
			return Ref{Name: name.Draw(t, "column")}
		}
		for range rapid.IntRange(1, 3).Draw(t, "columns") {
			m.Time = append(m.Time, ref())
			m.Channels = append(m.Channels, Pick{ref(), rapid.SampledFrom([]string{"", "a:b", "x+y [V]", `"q"`}).Draw(t, "as")})
			m.Missing = append(m.Missing, name.Draw(t, "missing"))
			m.Words = append(m.Words, Word{name.Draw(t, "word"), rapid.Float64Range(-1e6, 1e6).Draw(t, "value")})
		}
		got, err := Parse(m.String())
		if err != nil || got.String() != m.String() || !slices.Equal(got.Time, m.Time) || !slices.Equal(got.Channels, m.Channels) ||
			!slices.Equal(got.Missing, m.Missing) || !slices.Equal(got.Words, m.Words) {
			t.Fatalf("%+v is %s, read as %+v (%v)", m, &m, got, err)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add(`separator=semicolon,time=Date+"a,b":c,format=DD/MM/YYYY,missing=""+-200,words=on:1`)
	f.Add("interval=20ms,start=now")
	f.Fuzz(func(t *testing.T, source string) {
		m, err := Parse(source)
		if err != nil {
			return
		}
		again, err := Parse(m.String())
		if err != nil || again.String() != m.String() {
			t.Fatalf("%q is %q, read as %v (%v)", source, m.String(), again, err)
		}
	})
}

// The time is found however it is written.
func TestGuessedTimes(t *testing.T) {
	f := func(table, time, format string) {
		t.Helper()
		auto := Map{Header: -1}
		m := auto.Guess([]byte(table), true)
		if got := joined(m.Time, Ref.String); got != time || m.Format != format {
			t.Errorf("%q: time=%s,format=%s, want time=%s,format=%s (%s)", table, got, m.Format, time, format, m)
		}
	}
	f("a,when\n1,2024-01-31 01:02:03\n2,2024-02-01 01:02:03\n", "when", "YYYY-MM-DD hh:mm:ss")
	f("a,when\n1,2024-01-31T01:02:03.5Z\n", "when", "YYYY-MM-DD hh:mm:ss")
	f("d,x\n31/01/2024 01:02,1\n01/02/2024 01:02,1\n", "d", "DD/MM/YYYY hh:mm")
	f("d,x\n01/31/2024 01:02,1\n02/01/2024 01:02,1\n", "d", "MM/DD/YYYY hh:mm")
	f("d,x\n1/2/2024 1:02 AM,1\n1/2/2024 1:02 PM,1\n", "d", "DD/MM/YYYY hh:mm AP")
	f("d,x\n01/02/2024,1\n01/03/2024,1\n02/01/2024,3\n", "d", "MM/DD/YYYY") // the other way it would go back
	f("d;x;h\n31.01.2024;1,5;23:59\n", "d+h", "DD.MM.YYYY hh:mm")
	f("Year,Month,Day,Hour,x\n2024,1,31,5,7\n", "Year+Month+Day+Hour", "YYYY MM DD hh")
	f("Year,DOY,HHMM,x\n2024,60,5,7\n2024,60,105,7\n", "Year+DOY+HHMM", "YYYY DDD hhmm")
	f("x,timestamp\n1,1700000000\n", "timestamp", "unix")
	f("x,timestamp\n1,1700000000123\n", "timestamp", "unix-ms")
	f("x,time_us\n1,1700000000123456\n", "time_us", "unix-us")
	f("x,time\n1,1700000000123456789\n", "time", "unix-ns")
	f("x,Time [ms]\n1,0\n2,20\n", "Time [ms]", "ms")
	f("Test Time / h,U / V\n0.1,1\n", "Test Time / h", "h")
	f("x,elapsed\n1,0.1\n", "elapsed", "s")
	f("x,Time\n1,00:00:01\n2,25:00:00\n", "Time", "h:mm:ss")
	f("x;stamp\n1;20240131235959\n", "stamp", "YYYYMMDDhhmmss")
	f("x,y\n1,2\n", "", "")
}

// A header of several lines, none, or one with a name less than columns.
func TestGuessedHeaders(t *testing.T) {
	f := func(table, want string) {
		t.Helper()
		auto := Map{Header: -1}
		if got := auto.Guess([]byte(table), true).String(); got != want {
			t.Errorf("%q: %s, want %s", table, got, want)
		}
	}
	const rest = "time=t,format=YYYY-MM-DD,channel=x,missing=,words="
	f("t,x\n2024-01-02,1\n", "separator=comma,decimal=point,header=1,"+rest)
	f("# made by\n#\n\nt\tx\n2024-01-02\t1\n2024-01-03\t1\n", "separator=tab,decimal=point,header=4,"+rest)
	f("t|x\n\n2024-01-02|1\n", "separator=pipe,decimal=point,header=1,data=3,"+rest)
	f("\"t\",\"x\"\n\"1\",\"2024-01-02\",1\n", "separator=comma,decimal=point,header=1,"+rest)
	f("2024-01-02,1,on\n2024-01-03,2,off\n", "separator=comma,decimal=point,header=0,time=1,format=YYYY-MM-DD,channel=2+3,missing=,words=off:0+on:1")
	f("t,x\n,[V]\n2024-01-02,1\n2024-01-03,1\n", "separator=comma,decimal=point,header=1,data=3,"+rest)
	f("\"TOA5\",\"roof\",\"CR1000\",\"1234\"\n\"t\",\"x\"\n\"TS\",\"Volts\"\n\"\",\"Avg\"\n\"2024-01-02\",1\n\"2024-01-03\",\"NAN\"\n",
		"separator=comma,decimal=point,header=2,data=5,time=t,format=YYYY-MM-DD,channel=x,missing=NAN,words=")
	f("t,10cm,2-4[V]\n2024-01-02,1,2\n", "separator=comma,decimal=point,header=1,time=t,format=YYYY-MM-DD,channel=10cm+2-4[V],missing=,words=")
	f("\x00\x002024-01-02,1\n2024-01-03,2\n", "separator=comma,decimal=point,header=0,time=1,format=YYYY-MM-DD,channel=2,missing=,words=")
	f("t,x,note,x,e\n2024-01-02,NA,hello,-999,\n2024-01-03,5,you,7,\n",
		"separator=comma,decimal=point,header=1,time=t,format=YYYY-MM-DD,channel=2+4+e,missing=-999+NA,words=")
}

// Where day and month could be the other way round, it is said.
func TestDoubtOfDayAndMonth(t *testing.T) {
	f := func(table, maps, doubt string) {
		t.Helper()
		m, err := Parse(maps)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Guess([]byte(table), true).doubt; got != doubt {
			t.Errorf("%q: %q, want %q", table, got, doubt)
		}
	}
	f("d,x\n01/02/2024 01:02,1\n", "auto", "MM/DD/YYYY hh:mm")
	f("d,x\n01/02/2024 01:02,1\n", "time=d", "MM/DD/YYYY hh:mm")
	f("d,x\n01/02/2024 01:02,1\n", "format=DD/MM/YYYY hh:mm", "")
	f("d,x\n13/02/2024 01:02,1\n", "auto", "")
	f("d,x\n2024-01-02 01:02,1\n", "auto", "")
	f("d,x\n01/02/2024,1\n01/03/2024,1\n02/01/2024,3\n", "auto", "")
}

// A column is judged by all of its cells, not the first of them, and what is not
// taken is said.
func TestGuessedColumns(t *testing.T) {
	f := func(header, rows, channels, left string) {
		t.Helper()
		auto := Map{Header: -1}
		m := auto.Guess([]byte("t,"+header+"\n"+rows), true)
		if got := joined(m.Channels, func(p Pick) string { return p.Ref.String() }); got != channels || m.leftText() != left {
			t.Errorf("%q: %q but %q, want %q but %q", rows, got, m.leftText(), channels, left)
		}
	}
	f("a", "2024-01-02,oops\n2024-01-03,1\n", "a", "")
	f("a,b", "2024-01-02,oops,1\n2024-01-03,n/a,1\n\n2024-01-04,no way,1\n2024-01-05,1,1\n", "b", `a ("oops", line 2)`)
	f("a,b", "2024-01-02,x,1\n2024-01-03,y,1\n", "b", "a")
	f(`"a,b",,c`, "2024-01-02,x,1,3\n2024-01-03,y,1,4\n", "c", `"a,b", column 3`)
	f("a,b,c", "2024-01-02,1,on,\n2024-01-03,2,off,\n", "a+b+c", "")
	many := Map{left: make([]string, 25)}
	if text := many.leftText(); !strings.HasSuffix(text, " and 5 more") {
		t.Errorf("%q", text)
	}
}
