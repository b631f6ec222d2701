package api

import "context"

// SnapshotRequest is the body of POST /api/v1/snapshot.
type SnapshotRequest struct {
	Out string `json:"out"` // a folder of the server's machine, missing or empty
}

// SnapshotBody says what a copy of the database holds.
type SnapshotBody struct {
	Out    string `json:"out"`
	Files  int    `json:"files"`
	Linked int    `json:"linked"` // of those, files that share their bytes with the database
	Bytes  int64  `json:"bytes"`  // of the files, the catalog not counted
	Offset uint64 `json:"offset"` // of the newest log entry that it holds
}

// Snapshot copies the database.
func (a *API) Snapshot(ctx context.Context, r SnapshotRequest) (*SnapshotBody, error) {
	if r.Out == "" {
		return nil, NewError("malformed", "out is empty, want a folder")
	}
	copied, err := a.DB.Snapshot(ctx, r.Out)
	return answer(&SnapshotBody{r.Out, copied.Files, copied.Linked, copied.Bytes, copied.Offset}, err)
}
