// Package hioki reads the headers of the text files that HIOKI's loggers,
// recorders, power meters and PC software write.
//
// A logger's file is a header block, a column line and data lines:
//
//	"Trigger Time","'22-06-06 18:43:33"      header: what the instrument says
//	"Time","2-1[C]","2-4[V]","Event",        column line: the first cell is Time
//	 1.000000000E+01, 2.62200E+01,-1.6E-02,0,  data: seconds since the trigger
//
// Three families write three header blocks (one row per key, a table with one
// row per channel, rows with a UnitID); people delete the block and type the
// column line anew. What is common is the column line: it is looked for first
// and tells the separator, the channels and their units. The header, where
// there is one, adds the trigger time, comments and scaling.
//
// Only the trigger time is local time and is resolved in a zone. Offsets are
// added to that instant, so that a recording runs through a change of clocks
// as the instrument did. PC software also writes the clock time of each line.
//
// No real file was seen of the Memory HiCORDER MR8880, of the 8841 and its age
// (memory.go), of power meters (power.go) and of clock times (logger.go): what
// is known of them is in manuals.
package hioki
