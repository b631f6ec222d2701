package tidy

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// What is reported, and what fails, in lines.
const (
	longFunction, tooLongFunction = 70, 120
	longFile, tooLongFile         = 600, 1000
)

// source is one Go file. Its folder is relative to the repository's root.
type source struct {
	name   string // slashes, relative to the root
	folder string
	test   bool // test code: a test file, or one of a package for tests
	text   string
	set    *token.FileSet
	file   *ast.File
}

// finding is a rule broken, or nearly.
type finding struct {
	name string
	line int
	text string
	mild bool // worth a line, no failure
}

func (f finding) String() string { return fmt.Sprintf("%s:%d: %s", f.name, f.line, f.text) }

// parse reads one Go file.
func parse(name, text string) (*source, error) {
	s := &source{name: name, folder: path.Dir(name), text: text, set: token.NewFileSet()}
	s.test = strings.HasSuffix(name, "_test.go") || isTestPackage(s.folder)
	var err error
	s.file, err = parser.ParseFile(s.set, name, text, parser.ParseComments)
	return s, err
}

func (s *source) line(p token.Pos) int { return s.set.Position(p).Line }

func (s *source) find(at token.Pos, format string, arguments ...any) finding {
	return finding{name: s.name, line: s.line(at), text: fmt.Sprintf(format, arguments...)}
}

// fileRules are the rules that look at one file.
var fileRules = []func(*source) []finding{imports, clock, panics, lengths, comments, leftovers}

// imports holds files to the layers and to the list of dependencies.
func imports(s *source) []finding {
	var found []finding
	for _, spec := range s.file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		reason := ""
		if target, ok := strings.CutPrefix(imported, module+"/"); ok {
			// Tests may reach across layers; helpers for tests may not.
			if !strings.HasSuffix(s.name, "_test.go") {
				reason = mayImport(s.folder, target)
			}
		} else {
			reason = mayUse(s.folder, imported, s.test)
		}
		if reason != "" {
			found = append(found, s.find(spec.Pos(), "%s", reason))
		}
	}
	return found
}

// clock keeps the engine from the machine's clock and, but for package disk,
// from its files: both are injected.
func clock(s *source) []finding {
	if s.test || !within(s.folder, "engine") {
		return nil
	}
	var found []finding
	timeName := ""
	for _, spec := range s.file.Imports {
		switch spec.Path.Value {
		case `"os"`, `"io/ioutil"`:
			if !within(s.folder, "engine/disk") {
				found = append(found, s.find(spec.Pos(), "only engine/disk may import %s", spec.Path.Value))
			}
		case `"time"`:
			timeName = "time"
			if spec.Name != nil {
				timeName = spec.Name.Name
			}
		}
	}
	if timeName == "" {
		return found
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		name, ok := selector.X.(*ast.Ident)
		if !ok || name.Name != timeName {
			return true
		}
		switch selector.Sel.Name {
		case "Now", "Since", "Until":
			found = append(found, s.find(selector.Pos(), "the engine must not ask time.%s: use the injected clock", selector.Sel.Name))
		}
		return true
	})
	return found
}

// mayPanic lists the functions of the engine that may panic, as
// folder.function: helpers that state an invariant.
var mayPanic = map[string]bool{
	"engine/model.invariant": true,
}

// panics keeps the engine from ending the process.
func panics(s *source) []finding {
	if s.test || !within(s.folder, "engine") {
		return nil
	}
	var found []finding
	for _, declaration := range s.file.Decls {
		function, ok := declaration.(*ast.FuncDecl)
		if ok && mayPanic[s.folder+"."+function.Name.Name] {
			continue
		}
		ast.Inspect(declaration, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if name, ok := call.Fun.(*ast.Ident); ok && name.Name == "panic" {
					found = append(found, s.find(call.Pos(), "the engine must return errors, not panic"))
				}
			}
			return true
		})
	}
	return found
}

// lengths bounds functions and files.
func lengths(s *source) []finding {
	var found []finding
	judge := func(f finding, lines, long, tooLong int) {
		if lines > long {
			f.mild = lines <= tooLong
			found = append(found, f)
		}
	}
	for _, declaration := range s.file.Decls {
		if function, ok := declaration.(*ast.FuncDecl); ok {
			lines := s.line(function.End()) - s.line(function.Pos()) + 1
			judge(s.find(function.Pos(), "function %s has %d lines", function.Name.Name, lines), lines, longFunction, tooLongFunction)
		}
	}
	lines := strings.Count(s.text, "\n")
	judge(finding{name: s.name, line: 1, text: fmt.Sprintf("file has %d lines", lines)}, lines, longFile, tooLongFile)
	return found
}

// comments asks for a comment on every exported name; one on a group serves
// its members.
func comments(s *source) []finding {
	if strings.HasSuffix(s.name, "_test.go") {
		return nil
	}
	var found []finding
	for _, declaration := range s.file.Decls {
		switch d := declaration.(type) {
		case *ast.FuncDecl:
			if d.Doc == nil && d.Name.IsExported() && exportedReceiver(d) {
				found = append(found, s.find(d.Pos(), "exported %s has no comment", d.Name.Name))
			}
		case *ast.GenDecl:
			if d.Doc == nil && d.Tok != token.IMPORT {
				found = append(found, s.uncommented(d)...)
			}
		}
	}
	return found
}

// uncommented reports the exported names of a group that has no comment.
func (s *source) uncommented(group *ast.GenDecl) []finding {
	var found []finding
	for _, spec := range group.Specs {
		var names []*ast.Ident
		documented := false
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			names, documented = []*ast.Ident{spec.Name}, spec.Doc != nil || spec.Comment != nil
		case *ast.ValueSpec:
			names, documented = spec.Names, spec.Doc != nil || spec.Comment != nil
		}
		for _, name := range names {
			if !documented && name.IsExported() {
				found = append(found, s.find(name.Pos(), "exported %s has no comment", name.Name))
			}
		}
	}
	return found
}

// exportedReceiver reports whether a function has no receiver or one of an
// exported type.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return true
	}
	receiver := d.Recv.List[0].Type
	for {
		switch r := receiver.(type) {
		case *ast.StarExpr:
			receiver = r.X
		case *ast.IndexExpr:
			receiver = r.X
		case *ast.IndexListExpr:
			receiver = r.X
		case *ast.Ident:
			return r.IsExported()
		default:
			return true
		}
	}
}

// The patterns are put together so that this file does not hold them.
var (
	leftover    = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X|HA` + `CK)\b`)
	machinePath = regexp.MustCompile(`(^|[^A-Za-z0-9_.~/])/(wo` + `rk|ro` + `ot|ho` + `me)/[a-z]`)
)

// leftovers finds notes to self.
func leftovers(s *source) []finding {
	return findLines(s.name, s.text, leftover, "holds a note to self")
}

// machinePaths finds paths of somebody's machine, in any text file.
func machinePaths(name, text string) []finding {
	return findLines(name, text, machinePath, "names a path of one machine")
}

func findLines(name, text string, pattern *regexp.Regexp, what string) []finding {
	var found []finding
	for i, line := range strings.Split(text, "\n") {
		if match := pattern.FindString(line); match != "" {
			found = append(found, finding{name: name, line: i + 1, text: fmt.Sprintf("%s: %q", what, match)})
		}
	}
	return found
}

// packageComments asks for a comment on every package.
func packageComments(sources []*source) []finding {
	documented, first := map[string]bool{}, map[string]*source{}
	var order []string
	for _, s := range sources {
		if strings.HasSuffix(s.name, "_test.go") {
			continue
		}
		if first[s.folder] == nil {
			first[s.folder] = s
			order = append(order, s.folder)
		}
		documented[s.folder] = documented[s.folder] || s.file.Doc != nil
	}
	var found []finding
	for _, folder := range order {
		if !documented[folder] {
			found = append(found, first[folder].find(first[folder].file.Package, "package in %s has no comment", folder))
		}
	}
	return found
}
