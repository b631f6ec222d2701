// Package merge reads one channel's rows out of many pieces: chunks of blocks
// and views of heads, which may overlap. It yields every time once, with the
// value that was written last, or folds the rows into buckets without handing
// them out. It decodes one piece at a time for each depth of overlap, never
// more.
package merge
