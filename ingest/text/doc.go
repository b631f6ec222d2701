// Package text is what the text files of instruments have in common: lines,
// encodings, cells, numbers, times, and the reader that makes batches of data
// lines, in constant memory whatever the size of the file.
//
// A dialect is a function that reads what stands above the data and returns a
// [Layout]: which column is the time, how it is written, which columns are
// channels, and which words and numbers stand for what is no number. The rest
// is here once. The packages beside this one are dialects.
//
// Times are local time of the place where the instrument was, and are resolved
// in a zone: either the start alone, from which the lines count seconds, so
// that a recording runs through a change of clocks as the instrument did; or
// each line's own. See [Clock].
//
// Nothing of a file is dropped in silence: what is refused is counted with its
// reason, the first of it with line and cell; what is kept and looks wrong is
// said in [Report].Warnings.
package text
