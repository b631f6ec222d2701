// Package query answers questions about a tenant's data: which channels there
// are, their latest values, a view in buckets, a table joined on time, and an
// export as CSV. It reads only through package engine and holds no state, so
// that the server and the command line get the same answers from one place.
//
// It also owns how times and numbers are written and read wherever people or
// programs see them (see ParseTime, Unit, TimeFormatter and AppendNumber).
package query
