package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestInspectSaysHowChunksAreKept(t *testing.T) {
	flags, data := lake(t)
	inspect := func(args ...string) (body struct {
		Unit   string
		Blocks []struct {
			File, Tenant, Level string
			From, To            int64
			Bytes               int64
			Chunks              []struct {
				Labels                                  map[string]string
				Encoding, Mode, Predictor, Coder, Times string
				Rows                                    int
				TimeBytes                               int `json:"time_bytes"`
				ValueBytes                              int `json:"value_bytes"`
			}
		}
	}) {
		t.Helper()
		r := expect(t, 0, append([]string{"inspect", "--data", data, "-o", "json"}, args...)...)
		if err := json.Unmarshal([]byte(r.stdout), &body); err != nil {
			t.Fatalf("%v in %s", err, r.stdout)
		}
		return body
	}
	if body := inspect(); body.Blocks == nil || len(body.Blocks) != 0 || body.Unit != "ms" {
		t.Errorf("before anything is in blocks: %+v", body)
	}
	expect(t, 0, "compact", "--data", data)
	body := inspect(`{channel="2-1"}`)
	if len(body.Blocks) != 1 || len(body.Blocks[0].Chunks) != 1 {
		t.Fatalf("body is %+v", body)
	}
	b := body.Blocks[0]
	info, err := os.Stat(filepath.Join(data, filepath.FromSlash(b.File)))
	if err != nil || info.Size() != b.Bytes {
		t.Errorf("the file: %v, %v, said to be of %d bytes", info, err, b.Bytes)
	}
	if b.Tenant != "t" || b.Level != "month" || b.From != 1654041600000 || b.To != 1656633600000 { // June 2022
		t.Errorf("block is %+v", b)
	}
	k := b.Chunks[0]
	if k.Labels["instrument"] != "lake" || k.Labels["channel"] != "2-1" || k.Rows != 3 || k.Encoding != "small" ||
		k.Mode == "" || k.Times != "regular" || k.TimeBytes != 0 || k.ValueBytes == 0 {
		t.Errorf("chunk is %+v", k)
	}
	if body := inspect("--tenant", "t"); len(body.Blocks) != 1 || len(body.Blocks[0].Chunks) < 2 {
		t.Errorf("all channels: %+v", body)
	}
	if body := inspect(`{channel="none"}`); len(body.Blocks) != 0 {
		t.Errorf("a selector that matches nothing: %+v", body)
	}
	table := expect(t, 0, with(flags, "inspect", `{channel="2-1"}`)...).stdout
	if lines := strings.Split(strings.TrimSpace(table), "\n"); len(lines) != 2 ||
		!strings.Contains(lines[1], "month  2022-06-01  lake") || !strings.Contains(lines[1], k.Mode) {
		t.Errorf("table is\n%s", table)
	}
	expectCode(t, 1, "not_found", "inspect", "--data", data, "--tenant", "nobody")
	expectCode(t, 2, "bad_selector", "inspect", "--data", data, "{x")
}
