package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// actAsProgram makes the test binary be the program, so that tests can kill it.
const actAsProgram = "HOKAN_TEST_ACT_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(actAsProgram) != "" {
		main()
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	var err error
	if scratch, err = os.MkdirTemp("", "hokan-test-"); err != nil {
		panic(err)
	}
	defer os.RemoveAll(scratch)
	return m.Run()
}

const (
	killedRows     = 60000
	killedChannels = 3
)

// killedFile is a logger file whose value at row i of its first channel is
// i/100.
func killedFile(t *testing.T) string {
	rows := make([]string, killedRows)
	for i := range rows {
		rows[i] = fmt.Sprintf(" %.5E,-1.76000E-02,0", float64(i)/100)
	}
	return loggerFile(t, rows...)
}

// TestKilledImports kills the program at random moments of an import, ten
// times on one folder. Each time the folder must be sound, hold only rows of
// the file, and at least those that it held before.
func TestKilledImports(t *testing.T) {
	name := killedFile(t)
	data := filepath.Join(t.TempDir(), "d")
	flags := []string{"--data", data, "--tenant", "t"}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	args := with(flags, "import", "--instrument", "i", "--zone", "UTC", name)

	begun := time.Now()
	runAndKill(t, time.Hour, append(args, "--dry-run")...)
	length := max(2*time.Since(begun), 100*time.Millisecond)
	killed, held := 0, 0
	for try := 0; killed < 10 && try < 200; try++ {
		if !runAndKill(t, time.Duration(random.Int64N(int64(length))), args...) {
			length -= length / 4 // it was done before
		} else if _, err := os.Stat(filepath.Join(data, "FORMAT")); err == nil {
			killed++
		} else if errors.Is(err, os.ErrNotExist) {
			continue // killed before there was a database
		}
		if r := hokan("verify", "--data", data); r.code != 0 {
			t.Fatalf("verify after kill %d: exit %d\n%s%s", killed, r.code, r.stdout, r.stderr)
		}
		now := heldRows(t, flags)
		if now < held {
			t.Fatalf("%d rows after kill %d, %d before it", now, killed, held)
		}
		held = now
		t.Logf("after kill %d: %d samples", killed, held)
		if held == killedRows*killedChannels { // start over
			if err := os.RemoveAll(data); err != nil {
				t.Fatal(err)
			}
			held = 0
		}
	}
	if killed < 10 {
		t.Fatalf("the program was killed %d times, want 10", killed)
	}
	expect(t, 0, args...)
	if got := heldRows(t, flags); got != killedRows*killedChannels {
		t.Errorf("the import that was let finish leaves %d samples, want %d", got, killedRows*killedChannels)
	}
}

// runAndKill runs the program and kills it after a while; false if it was done
// before.
func runAndKill(t *testing.T, after time.Duration, args ...string) bool {
	t.Helper()
	command := exec.Command(os.Args[0], args...)
	command.Env = append(os.Environ(), actAsProgram+"=1")
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	killer := time.AfterFunc(after, func() { command.Process.Kill() })
	defer killer.Stop()
	err := command.Wait()
	var exit *exec.ExitError
	if err == nil {
		return false
	}
	if !errors.As(err, &exit) || exit.ExitCode() != -1 {
		t.Fatalf("hokan %q: %v", args, err)
	}
	return true
}

// heldRows returns the number of samples, having compared the first channel's
// with the file.
func heldRows(t *testing.T, flags []string) int {
	t.Helper()
	r := hokan(with(flags, "channels", "-o", "csv")...)
	if r.code == 1 && strings.Contains(r.stderr, "not_found") {
		return 0 // killed before the tenant was made
	}
	if r.code != 0 {
		t.Fatalf("channels: exit %d\n%s", r.code, r.stderr)
	}
	total := 0
	for _, line := range strings.Split(strings.TrimSpace(r.stdout), "\n")[1:] {
		n, err := strconv.Atoi(line[strings.LastIndexByte(line, ',')+1:])
		if err != nil {
			t.Fatal(err)
		}
		total += n
	}
	if total == 0 {
		return 0
	}
	exported := expect(t, 0, with(flags, "export", "--out", "-", `{channel="2-1"}`)...).stdout
	for i, line := range strings.Split(strings.TrimSpace(unzip(t, []byte(exported))), "\r\n")[1:] {
		_, value, _ := strings.Cut(line, ",")
		if want := strconv.FormatFloat(float64(i)/100, 'f', -1, 64); value != want {
			t.Fatalf("row %d is %s, want %s", i, value, want)
		}
	}
	return total
}
