// Package mapping reads tables of text that no instrument's dialect describes:
// any CSV, with a [Map] that says which column is the time, how it is written,
// and which columns are channels. What a map leaves out is guessed by looking
// at the beginning of the file; the guess is a map again, which people read,
// correct and keep.
package mapping
