package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// step is a command of a script and what it is to give.
type step struct {
	exit   int
	stdout string // with TIME and N for times; "" where the command fails
	says   string // how stderr begins, after "hokan: "; "" is nothing at all
	args   []string
}

var (
	timeText   = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)
	timeNumber = regexp.MustCompile(`\d{10,}`)
	gaps       = regexp.MustCompile(`  +`)
)

// plain is what a command prints, without what depends on when it runs.
func plain(stdout string) string {
	return gaps.ReplaceAllString(timeNumber.ReplaceAllString(timeText.ReplaceAllString(stdout, "TIME"), "N"), "  ")
}

// play runs a script, each command with these flags.
func play(t *testing.T, flags []string, script []step) {
	t.Helper()
	for _, s := range script {
		r := hokan(with(flags, s.args...)...)
		stdout, want := plain(r.stdout), plain(s.stdout)
		says := s.says == "" && r.stderr == "" || s.says != "" && strings.HasPrefix(r.stderr, "hokan: "+s.says) && strings.Count(r.stderr, "\n") == 1
		if r.code != s.exit || stdout != want || !says {
			t.Fatalf("hokan %q: exit %d, want %d\nstdout:\n%s\nwant:\n%s\nstderr: %s\nwant: %s", s.args, r.code, s.exit, stdout, want, r.stderr, s.says)
		}
	}
}

// playBoth runs a script on a folder that has lake's rows, and on a server that
// has such a folder, as an administrator.
func playBoth(t *testing.T, tenant string, script []step) {
	t.Run("folder", func(t *testing.T) {
		_, data := lake(t)
		play(t, withTenant([]string{"--data", data}, tenant), script)
	})
	t.Run("server", func(t *testing.T) {
		_, data := lake(t)
		admin := newToken(t, data, "--admin")
		p, address := serveFolder(t, data)
		defer p.stop(t, syscall.SIGTERM)
		play(t, withTenant([]string{"--server", address, "--token", admin}, tenant), script)
	})
}

func withTenant(flags []string, tenant string) []string {
	if tenant == "" {
		return flags
	}
	return append(flags, "--tenant", tenant)
}

func words(line string) []string { return strings.Fields(line) }

func TestTenantCommands(t *testing.T) {
	grid := func(plan, bytes, perInstrument, ends, ending, lapses string) string {
		text := "what                     value\ntenant                   new\nplan                     " + plan +
			"\nbytes                    " + bytes + "\nchannels                 none\nchannels per instrument  " + perInstrument +
			"\nsamples per second       none\nover quota               delete_oldest_until_fit\nceiling, %               110\n" +
			"created                  TIME\nends                     " + ends + "\nending                   " + ending +
			"\ncloses                   " + lapses + "\ndeletes                  " + lapses + "\n"
		return regexp.MustCompile(` +\n`).ReplaceAllString(text, "\n")
	}
	playBoth(t, "new", []step{
		{1, "", `not_found: unknown tenant "new"`, words("tenant show")},
		{1, "", `not_found: unknown tenant "new"`, words("tenant set --bytes 1")},
		{1, "", `not_found: unknown tenant "new"`, words("tenant delete")},
		{2, "", `invalid: plan "gold" is none of trial, free, standard, pro`, words("tenant create --plan gold")},
		{1, "", `not_found: unknown tenant "new"`, words("tenant show")}, // what is refused makes none
		{0, grid("trial", "500000000", "10", "", "keep", "TIME"), "", words("tenant create --plan trial")},
		{1, "", "conflict: there is a tenant new already: hokan tenant set changes it", words("tenant create")},
		{0, grid("trial", "700", "10", "", "keep", "TIME"), "", words("tenant set --bytes 700")},
		{0, grid("pro", "700", "100", "", "keep", ""), "", words("tenant set --plan pro")},
		{2, "", "invalid: ending free needs ends", words("tenant set --ending free")},
		{0, grid("pro", "700", "100", "TIME", "free", ""), "", words("tenant set --ends 2099-01-01T00:00:00Z --ending free")},
		{0, grid("pro", "700", "100", "TIME", "free", ""), "", words("tenant show")},
		{0, grid("pro", "none", "100", "TIME", "free", ""), "", words("tenant set --bytes 0")},
		{0, grid("pro", "none", "100", "", "keep", ""), "", []string{"tenant", "set", "--ends", ""}},
		{0, grid("pro", "none", "100", "TIME", "keep", ""), "the contract of new has ended", words("tenant set --ends 2000-01-01T00:00:00Z --ending keep")},
		{0, grid("pro", "none", "100", "", "keep", ""), "", []string{"tenant", "set", "--ends", ""}},
		{2, "", `usage: --bytes: expected a valid 64 bit uint but got "-1"`, words("tenant set --bytes -1")},
		{2, "", "invalid: a quota of 2305843009213693952 bytes, at most", words("tenant set --bytes 2305843009213693952")},
		{2, "", "invalid: ceiling_percent 99 is not between 100 and 1000", words("tenant set --ceiling 99")},
		{2, "", `invalid: over_quota "x" is none of delete_oldest_until_fit, delete_all, freeze_writes_only`, words("tenant set --over-quota x")},
		{2, "", `invalid: ending "x" is none of keep, free, at_end, within_30_days, after_60_days`, words("tenant set --ends now --ending x")},
		{2, "", `bad_time: --ends: "noon" is no RFC 3339 time`, words("tenant set --ends noon")},
		{2, "", `bad_time: unit "zz" is none of`, words("tenant show --unit zz")},
		{2, "", "usage: unexpected argument {}", words("tenant show {}")},
		{0, `{"tenant":"new","plan":"pro","quota":{"bytes":5000,"channels":9,"channels_per_instrument":8,"samples_per_second":7},` +
			`"limits":{"bytes":5000,"channels":9,"channels_per_instrument":8,"samples_per_second":7},"over_quota":"freeze_writes_only",` +
			`"ceiling_percent":120,"created":N,"ends":N,"ending":"after_60_days","closes":N,"deletes":N,"unit":"s"}` + "\n", "",
			words("tenant set --bytes 5000 --channels 9 --channels-per-instrument 8 --samples-per-second 7 --over-quota freeze_writes_only --ceiling 120 --ends 2099-01-01T00:00:00Z --ending after_60_days -o json --unit s")},
		{0, "what,value\ntenant,new\nplan,pro\nbytes,5000\nchannels,9\nchannels per instrument,8\nsamples per second,7\nover quota,freeze_writes_only\n" +
			"\"ceiling, %\",120\ncreated,TIME\nends,TIME\nending,after_60_days\ncloses,TIME\ndeletes,TIME\n", "", words("tenant show -o csv")},
		{0, `{"tenant":"new","deleted_at":N,"bytes":0,"channels":0,"reason":"request","copies_by":N,"unit":"ms"}` + "\n", "", words("tenant delete -o json")},
		{1, "", `not_found: unknown tenant "new"`, words("tenant delete")},
		{0, grid("", "none", "none", "", "keep", ""), "", words("tenant create")}, // nothing is left of what was agreed
	})
	playBoth(t, "t", []step{
		{2, "", `malformed: --by "" is none of tenant, group, channel`, []string{"usage", "--by", ""}},
		{0, "tenant  deleted at                bytes  channels  reason   copies by\nt  TIME  18  3  request  TIME\n", "", words("tenant delete")},
		{1, "", `not_found: unknown tenant "t": it was deleted at 2`, words("tenant show")},
		{1, "", `not_found: unknown tenant "t"`, words("usage")},
		{1, "", `not_found: unknown tenant "t"`, words("retention get")},
		{1, "", `not_found: unknown tenant "t"`, words("retention set --raw 1y")},
		{1, "", `not_found: unknown tenant "t"`, words("retention delete --all")},
		{1, "", `not_found: unknown tenant "t"`, words("delete {}")},
	})
}

func TestRetentionCommands(t *testing.T) {
	playBoth(t, "t", []step{
		{0, "scope  match  raw  1s  1m  1h  1d\n", "", words("retention get")},
		{0, `{"rules":[]}` + "\n", "", words("retention get -o json")},
		{0, "scope   match  raw  1s  1m  1h       1d\ntenant         9y           forever\n", "", words("retention set --raw 9y --1h forever")},
		{0, "scope,match,raw,1s,1m,1h,1d\ntenant,,9y,,,forever,\ninstrument,lake,8y,,1mo,,\n", "", words("retention set --raw 8y --1m 1mo --scope instrument --match lake -o csv")},
		{0, `{"rules":[{"scope":"tenant","raw":"forever","1h":"forever"},{"scope":"instrument","match":"lake","raw":"8y","1m":"1mo"}]}` + "\n", "",
			words("retention set --raw forever --1h forever -o json")}, // in place of the one before
		{0, "instrument  channel  labels  raw              1s               1m                1h                1d\n" +
			"lake        2-1              8y (instrument)  8y (instrument)  1mo (instrument)  forever (tenant)  8y (instrument)\n", "",
			words(`retention get --effective {channel="2-1"}`)},
		{0, `{"channels":[{"labels":{"channel":"2-1","instrument":"lake"},"raw":{"keep":"8y","from":"instrument"},"1s":{"keep":"8y","from":"instrument"},` +
			`"1m":{"keep":"1mo","from":"instrument"},"1h":{"keep":"forever","from":"tenant"},"1d":{"keep":"8y","from":"instrument"}}]}` + "\n", "",
			words(`retention get --effective {channel="2-1"} -o json`)},
		{1, "", `no_channel: {channel="x"} matches nothing`, words(`retention get --effective {channel="x"}`)},
		{2, "", "bad_selector: ", words("retention get --effective lake")},
		{2, "", "malformed: a selector goes with --effective", words(`retention get {channel="2-1"}`)},
		{2, "", `bad_time: unit "zz" is none of`, words("retention get --unit zz")},
		{2, "", `invalid: bad retention: "1_day": want forever, or a number`, words("retention set --raw 1_day")},
		{2, "", "invalid: bad retention: rule 1: it says nothing of raw, 1s, 1m, 1h or 1d", words("retention set")},
		{2, "", "invalid: bad retention: rule 3: a rule of scope group needs a match", words("retention set --scope group --raw 1d")},
		{2, "", "usage: --scope must be one of", words("retention set --scope plan --raw 1d")},
		{1, "", `not_found: there is no rule of scope instrument that matches "roof"`, words("retention delete --scope instrument --match roof")},
		{0, "scope   match  raw      1s  1m  1h       1d\ntenant         forever           forever\n", "", words("retention delete --scope instrument --match lake")},
		{0, `{"rules":[]}` + "\n", "", words("retention delete -o json")},
		{1, "", `not_found: there is no rule of scope tenant that matches ""`, words("retention delete")},
		{0, "scope  match  raw  1s  1m  1h  1d\n", "", words("retention delete --all")},
	})
}

func TestDeleteCommand(t *testing.T) {
	table := func(cells ...string) string { // the rows that are left
		return "time,lake/2-1[C],lake/2-4[V],lake/Event\n" + strings.Join(cells, "")
	}
	all := table("TIME,26.21,-0.0176,0\n", "TIME,26.22,-0.01605,0\n", "TIME,26,0,0\n")
	playBoth(t, "t", []step{
		{2, "", `usage: expected "<selector>"`, words("delete")},
		{2, "", "malformed: match is missing: what is to be deleted; {} is everything", []string{"delete", ""}},
		{2, "", "bad_selector: ", words("delete lake")},
		{2, "", "bad_selector: ", words("delete --channels lake")},
		{1, "", `no_channel: {channel="x"} matches nothing`, words(`delete {channel="x"}`)},
		{1, "", `no_channel: {channel="x"} matches nothing`, words(`delete --channels {channel="x"}`)},
		{2, "", "malformed: --channels deletes all that the channels have", words("delete --channels --to now {}")},
		{2, "", "bad_span: it ends at or before its start", words("delete --from now --to now-1d {}")},
		{2, "", "bad_time: ", words("delete --from noon {}")},
		{2, "", `bad_time: unit "zz" is none of`, words("delete --unit zz {}")},
		{2, "", "usage: unknown flag --all", words("delete --all {}")},
	})
	tableOf := func(t *testing.T, flags []string, want string) {
		t.Helper()
		got := timeText.ReplaceAllString(expect(t, 0, with(flags, "table", "-o", "csv")...).stdout, "TIME")
		if got != want {
			t.Fatalf("left:\n%swant:\n%s", got, want)
		}
	}
	flags, _ := lake(t)
	tableOf(t, flags, all)
	// Its rows are at 22:43:33, :43 and :53.
	play(t, flags, []step{{0, "{\"channels\":1,\"offset\":3}\n", "",
		words(`delete --from 2022-06-06T22:43:43Z --to 2022-06-06T22:43:53Z {channel="2-1"} -o json`)}})
	tableOf(t, flags, table("TIME,26.21,-0.0176,0\n", "TIME,,-0.01605,0\n", "TIME,26,0,0\n"))
	play(t, flags, []step{
		{0, "channels\n1\n", "", words(`delete --channels {channel="2-1"} -o csv`)},
		{1, "", "no_channel: ", words(`delete {channel="2-1"}`)},
		{0, "{\"channels\":1}\n", "", words(`delete --channels {channel="Event"} -o json`)},
		{0, "channels  offset\n1  6\n", "", words("delete {}")},
	})
	if left := expect(t, 0, with(flags, "table", "-o", "csv")...).stdout; left != "time,lake/2-4[V]\n" {
		t.Errorf("left: %s", left)
	}
}

func TestUsageCommand(t *testing.T) {
	flags, data := lake(t)
	machine := regexp.MustCompile(`(?m)^(machine: \w+ +)\d+$`)
	check := func(want string, args ...string) {
		t.Helper()
		got := expect(t, 0, with(flags, args...)...).stdout
		got, want = plain(machine.ReplaceAllString(got, "${1}M")), plain(want)
		if got != want {
			t.Errorf("hokan %q gives\n%swant\n%s", args, got, want)
		}
	}
	rest := "machine: log        M\nmachine: blocks     M\nmachine: catalog    M\nmachine: temporary  M\n"
	check("what                used  quota  state  deadline  full at\nbytes               18    none   ok\nof files            0\non the disk         0\n"+
		"channels            3     none\n"+rest, "usage")
	expect(t, 0, with(flags, "tenant", "set", "--bytes", "10", "--channels", "3")...)
	check("what                used  quota  state  deadline  full at\nbytes               18    10     over   TIME  TIME\n"+
		"of files            0\non the disk         0\nchannels            3     3\n"+rest, "usage")
	var usage struct {
		Bytes, Channels struct{ Used, Quota int }
		Machine         map[string]int `json:"machine_bytes"`
		State, Unit     string
		Deadline        *int64
	}
	body(t, &usage, with(flags, "usage", "--unit", "s")...)
	if usage.Bytes.Used != 18 || usage.Bytes.Quota != 10 || usage.Channels.Used != 3 || usage.Channels.Quota != 3 || len(usage.Machine) != 4 ||
		usage.State != "over" || usage.Unit != "s" || usage.Deadline == nil || *usage.Deadline > 1e10 {
		t.Errorf("%+v", usage)
	}
	check("day         key  bytes  physical\n2022-06-06  t    18     0\n", "usage", "--by", "tenant")
	check("day,key,bytes,physical\n2022-06-06,,18,0\n", "usage", "--by", "group", "-o", "csv")
	const labels = `{channel=\"%s\",instrument=\"lake\"}`
	line := func(channel string) string {
		return fmt.Sprintf(`{"day":"2022-06-06","key":"`+labels+`","bytes":6,"physical":0}`, channel)
	}
	check(`{"days":[`+line("2-1")+","+line("2-4")+","+line("Event")+"]}\n", "usage", "--by", "channel", "-o", "json")
	expect(t, 0, "compact", "--data", data)
	var days struct{ Days []struct{ Physical int } }
	body(t, &days, with(flags, "usage", "--by", "tenant")...)
	if len(days.Days) != 1 || days.Days[0].Physical == 0 {
		t.Errorf("compacted: %+v", days)
	}
	play(t, flags, []step{
		{2, "", `malformed: --by "sample" is none of tenant, group, channel`, words("usage --by sample")},
		{2, "", `bad_time: unit "zz" is none of`, words("usage --unit zz")},
		{2, "", `bad_time: unit "zz" is none of`, words("usage --by group --unit zz")},
		{2, "", "usage: unexpected argument {}", words("usage {}")},
	})
}

func TestOutboxCommand(t *testing.T) {
	playBoth(t, "", []step{
		{0, "time  tenant  kind  detail  id\n", "", words("outbox")},
		{0, `{"unit":"ms","events":[],"next":null}` + "\n", "", words("outbox -o json")},
		{2, "", `malformed: bad cursor "x"`, words("outbox --after x")},
		{2, "", `malformed: bad cursor "5.0."`, words("outbox --after 5.0.")},
		{2, "", "malformed: --limit 0, want 1 to", words("outbox --limit 0")},
		{2, "", `bad_time: unit "zz" is none of`, words("outbox --unit zz")},
		{2, "", "usage: unknown flag --tenant", words("outbox --tenant t")},
	})
	flags, data := lake(t)
	expect(t, 0, with(flags, "tenant", "set", "--bytes", "19")...)
	expect(t, 0, with(flags, "tenant", "set", "--bytes", "0")...)
	expect(t, 0, with(flags, "tenant", "set", "--bytes", "10", "--over-quota", "delete_all")...)
	expect(t, 0, with(flags, "tenant", "delete")...)
	low := `{"id":"n1","tenant":"t","kind":"capacity_low","time":N,"detail":{"used":18,"quota":19}}`
	over := `{"id":"n2","tenant":"t","kind":"over_quota","time":N,"detail":{"used":18,"quota":10,"deadline":N,"policy":"delete_all"}}`
	gone := `{"id":"n3","tenant":"t","kind":"tenant_deleted","time":N,"detail":{"bytes":18,"channels":3,"reason":"request","copies_by":N}}`
	play(t, []string{"--data", data}, []step{
		{0, `{"unit":"ms","events":[` + low + "," + over + "," + gone + `],"next":"3.0."}` + "\n", "", words("outbox -o json")},
		{0, `{"unit":"ms","events":[` + low + `],"next":"1.0."}` + "\n", "", words("outbox -o json --limit 1")},
		{0, `{"unit":"ms","events":[` + gone + `],"next":"3.0."}` + "\n", "", words("outbox -o json --after 2.0.")},
		{0, `{"unit":"ms","events":[],"next":null}` + "\n", "", words("outbox -o json --after 3.0.")},
		{0, "time,tenant,kind,detail,id\nTIME,t,over_quota,\"used 18, of 10, deadline TIME, policy delete_all\",n2\n" +
			"TIME,t,tenant_deleted,\"bytes 18, channels 3, reason request, copies by TIME\",n3\n", "go on later with --after 3.0.", words("outbox -o csv --after 1.0.")},
	})
}

// TestWhoMayDoWhat: what an administrator is asked for, a tenant's token is not,
// and one that reads deletes nothing.
func TestWhoMayDoWhat(t *testing.T) {
	_, data := lake(t)
	both, read, admin := newToken(t, data, "--tenant", "t"), newToken(t, data, "--tenant", "t", "--scope", "read"), newToken(t, data, "--admin")
	other := newToken(t, data, "--tenant", "other")
	p, address := serveFolder(t, data)
	defer p.stop(t, syscall.SIGTERM)
	as := func(token, line string) []string { return append(words(line), "--server", address, "--token", token) }
	for _, line := range []string{"tenant show --tenant t", "tenant set --tenant t --bytes 1", "tenant create --tenant x", "tenant delete --tenant t", "outbox"} {
		expectCode(t, 1, "forbidden", as(both, line)...)
		expectCode(t, 1, "unauthorized", as("x", line)...)
	}
	for _, line := range []string{"retention set --raw 9y", "retention delete --all", "delete {}", "delete --channels {}"} {
		expectCode(t, 1, "forbidden", as(read, line)...)
		expectCode(t, 2, "malformed", as(admin, line)...) // whose is not said
		expectCode(t, 1, "not_found", as(other, line+" --tenant t")...)
	}
	for _, line := range []string{"retention get", "retention get --effective", "usage", "usage --by group"} {
		expect(t, 0, as(read, line)...)
		expect(t, 0, as(admin, line+" --tenant t")...)
		expectCode(t, 1, "not_found", as(other, line+" --tenant t")...)
	}
	expect(t, 0, as(both, "retention set --raw 9y")...)
	expect(t, 0, as(both, "delete {}")...)
	expect(t, 0, as(both, "delete --channels {}")...)
}

// TestFolderThatIsNone: only what makes tenants makes a folder.
func TestFolderThatIsNone(t *testing.T) {
	data := filepath.Join(t.TempDir(), "d")
	for _, line := range []string{"tenant show", "tenant set --bytes 1", "tenant delete", "retention get", "retention set --raw 1y", "usage", "delete {}"} {
		expectCode(t, 1, "not_found", append(words(line), "--data", data, "--tenant", "t")...)
		expectCode(t, 2, "malformed", append(words(line), "--data", data, "--tenant", "../t")...)
		expectCode(t, 2, "usage", append(words(line), "--data", data)...)
	}
	expectCode(t, 1, "not_found", "outbox", "--data", data)
	expectCode(t, 2, "usage", "outbox")
	for _, command := range []string{"tenant", "retention"} {
		expectCode(t, 2, "usage", command)
	}
	if _, err := os.Stat(data); !os.IsNotExist(err) {
		t.Fatalf("the folder: %v", err)
	}
	expect(t, 0, "tenant", "create", "--data", data, "--tenant", "t")
	expect(t, 0, "usage", "--data", data, "--tenant", "t")
}
