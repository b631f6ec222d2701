package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hokan-db/hokan/bench/report"
)

// machine describes what this runs on and how long its disk takes to sync.
func machine(folder string) (report.Machine, error) {
	m := report.Machine{Cores: runtime.NumCPU(), Go: runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH,
		Processor: field("/proc/cpuinfo", "model name"), FolderOnDevice: device(folder)}
	kilobytes, _ := strconv.ParseInt(strings.TrimSuffix(field("/proc/meminfo", "MemTotal"), " kB"), 10, 64)
	m.MemoryBytes = kilobytes << 10
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = "Linux " + strings.TrimSpace(string(release))
	}
	var err error
	m.SyncMedian, m.SyncPercent99, err = syncTimes(folder)
	return m, err
}

// field returns what a file of lines "name : value" says of name, "" if nothing.
func field(path, name string) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		key, value, found := strings.Cut(lines.Text(), ":")
		if found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// device is the kind of file system that a folder is on.
func device(folder string) string {
	mounts, err := os.ReadFile("/proc/mounts")
	if err != nil {
		return "an unknown file system"
	}
	best, kind := "", "an unknown file system"
	for line := range strings.Lines(string(mounts)) {
		f := strings.Fields(line)
		if len(f) > 2 && len(f[1]) >= len(best) && (folder+"/" == f[1]+"/" || strings.HasPrefix(folder, strings.TrimSuffix(f[1], "/")+"/")) {
			best, kind = f[1], f[2]
		}
	}
	return kind
}

// syncTimes measures syncs as a log does them: of a file that 16 KiB were
// appended to. In milliseconds: the median, and what one in a hundred exceeds.
func syncTimes(folder string) (median, percent99 float64, err error) {
	const times, bytes = 300, 16 << 10
	file, err := os.Create(filepath.Join(folder, "sync"))
	if err != nil {
		return 0, 0, err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	var took []float64
	for range times {
		if _, err := file.Write(make([]byte, bytes)); err != nil {
			return 0, 0, err
		}
		started := time.Now()
		if err := syscall.Fdatasync(int(file.Fd())); err != nil {
			return 0, 0, err
		}
		took = append(took, milliseconds(time.Since(started)))
	}
	slices.Sort(took)
	return took[times/2], took[times*99/100], nil
}

// processorTime is the time that this process has used, or if servers is set
// the processes that it started and that have ended.
func processorTime(servers bool) time.Duration {
	who := syscall.RUSAGE_SELF
	if servers {
		who = syscall.RUSAGE_CHILDREN
	}
	var used syscall.Rusage
	if err := syscall.Getrusage(who, &used); err != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// memory is what a process holds, in megabytes.
type memory struct {
	resident  float64
	anonymous float64 // of that, what is not a file's: neither program nor mapped data
}

func memoryOf(process int) (m memory, err error) {
	status := fmt.Sprintf("/proc/%d/status", process)
	if m.resident, err = megabytes(field(status, "VmRSS")); err != nil {
		return m, err
	}
	m.anonymous, err = megabytes(field(status, "RssAnon"))
	return m, err
}

func megabytes(text string) (float64, error) {
	kilobytes, err := strconv.ParseFloat(strings.TrimSuffix(text, " kB"), 64)
	return kilobytes * 1024 / 1e6, err
}
