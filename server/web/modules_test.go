package web

import (
	"path"
	"regexp"
	"strings"
	"testing"
)

// Modules name each other by relative addresses that must exist, hold no
// markup or style that the content policy forbids, and stay short.
func TestModules(t *testing.T) {
	s := open(t)
	imported := regexp.MustCompile(`(?:from|import)\s+"([^"]+)"`)
	forbidden := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setAttribute\("style"|style:\s*["` + "`" + `]|https?://`)
	for name, a := range s.assets.files {
		if path.Dir(name) != "js" {
			continue
		}
		text := strings.ReplaceAll(string(a.plain), "http://www.w3.org/2000/svg", "")
		for _, m := range imported.FindAllStringSubmatch(text, -1) {
			if !strings.HasPrefix(m[1], "./") || s.assets.files[path.Join("js", m[1])] == nil {
				t.Errorf("%s imports %q", name, m[1])
			}
		}
		if bad := forbidden.FindString(text); bad != "" {
			t.Errorf("%s holds %q", name, bad)
		}
		if lines := strings.Count(text, "\n"); lines > 600 {
			t.Errorf("%s has %d lines", name, lines)
		}
	}
}
