package main

import (
	"os"
	"strings"

	"github.com/hokan-db/hokan/ingest/mapping"
	"github.com/hokan-db/hokan/server/api"
)

// readMap returns the map that --map tells, nil where it tells none.
func (c *importCommand) readMap() (*mapping.Map, error) {
	text := c.Map
	if text == "" {
		return nil, nil
	}
	if path, ok := strings.CutPrefix(text, "@"); ok {
		file, err := os.ReadFile(path)
		if err != nil {
			return nil, api.NewError("malformed", "--map: "+err.Error())
		}
		text = string(file)
	}
	m, err := mapping.Parse(text)
	if err != nil {
		return nil, api.NewError("malformed", "--map: "+err.Error())
	}
	return m, nil
}

// showMap shows the map of a table that was only tried, and writes that of the
// first to the file for it.
func (i *importer) showMap(path, text string) {
	if i.DryRun {
		i.terminal.note("%s: --map '%s'", path, text)
	}
	if i.SaveMap == "" {
		return
	}
	if err := os.WriteFile(i.SaveMap, []byte(text+"\n"), 0o644); err != nil {
		i.terminal.note("--save-map: %v", err)
	}
	i.SaveMap = ""
}
