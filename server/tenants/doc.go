// Package tenants keeps what is agreed with each tenant and sees to it: quotas
// and plans, what happens to a tenant that has more than its quota, every clock
// that ends in a deletion, the record of what was deleted, and the outbox, from
// which notices go out.
//
// What follows from numbers and times alone (Life, Clocks, Forecast) is pure.
// The Store keeps records beside the log, and lets the engine delete.
package tenants
