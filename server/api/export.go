package api

import (
	"context"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/query"
)

// ExportRequest asks for GET /api/v1/export.
type ExportRequest struct {
	Selection
	Format string // csv
	Zone   string // IANA name; "" is UTC
}

// Export prepares an export. Whoever gets it writes and closes it; its body is
// no JSON but application/zip.
func (a *API) Export(ctx context.Context, t model.Tenant, r ExportRequest) (*query.Export, error) {
	return answer(a.export(ctx, t, r))
}

func (a *API) export(ctx context.Context, t model.Tenant, r ExportRequest) (*query.Export, error) {
	if r.Format != "csv" {
		return nil, NewError("invalid", "format "+quote(r.Format)+" is not csv")
	}
	scope, window, _, err := a.read(t, r.Selection)
	if err != nil {
		return nil, err
	}
	zone, err := query.ParseZone(r.Zone)
	if err != nil {
		return nil, err
	}
	return query.NewExport(ctx, a.DB, query.ExportRequest{Scope: scope, Window: window, Zone: zone, Made: a.Clock()})
}
