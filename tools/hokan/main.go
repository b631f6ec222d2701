// Command hokan keeps and answers for instruments' measurements: it imports
// logger files into a folder, shows and exports what is there, and raises
// alarms.
package main

import (
	"os"
	_ "time/tzdata" // zones, also on machines that have none
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
