package server

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/hokan-db/hokan/server/api"
)

// addCopies adds what copies the whole database.
func (s *Server) addCopies() {
	snapshot := s.op("POST", "/snapshot", "snapshot", "Copy the database into a folder of this machine, which is missing or empty", adminOnly,
		http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity, http.StatusInsufficientStorage)
	snapshot.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		"application/json": {Schema: s.schema(reflect.TypeFor[api.SnapshotRequest]())},
	}}
	snapshot.Responses = content(http.StatusOK, "The copy is whole and durable", "application/json",
		s.schema(reflect.TypeFor[api.SnapshotBody]()))
	s.raw(snapshot, operation{long: true}, s.snapshot)
}

// snapshot copies the database.
func (s *Server) snapshot(w http.ResponseWriter, r *http.Request) error {
	var asked api.SnapshotRequest
	if err := readJSON(r, &asked); err != nil {
		return err
	}
	if !filepath.IsAbs(asked.Out) {
		return newProblem("malformed", "out must be the absolute path of a folder of the server's machine")
	}
	body, err := s.api.Snapshot(r.Context(), asked)
	if err != nil {
		return err
	}
	return sendJSON(w, http.StatusOK, body)
}

// readJSON reads a small body.
func readJSON(r *http.Request, into any) error {
	if !isJSON(r.Header.Get("Content-Type")) {
		return newProblem("unsupported_media_type", "the body must be application/json")
	}
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return newProblem("malformed", "the body cannot be read: "+err.Error())
	}
	return nil
}
