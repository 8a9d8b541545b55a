package layers

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Limits of the house, in lines.
const (
	fileSize     = 600
	fileLimit    = 900
	functionSize = 80
)

// source is one file of Go, parsed.
type source struct {
	pkg  string // of the module
	path string
	text []byte
	file *ast.File
	set  *token.FileSet
}

func (s *source) test() bool { return strings.HasSuffix(s.path, "_test.go") }

func (s *source) line(p token.Pos) int { return s.set.Position(p).Line }

// sources parses every Go file of the module.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	for _, p := range packages(t) {
		for _, names := range [][]string{p.GoFiles, p.TestGoFiles, p.XTestGoFiles} {
			for _, name := range names {
				s := source{pkg: strings.TrimPrefix(p.ImportPath, module), path: filepath.Join(p.Dir, name), set: token.NewFileSet()}
				var err error
				if s.text, err = os.ReadFile(s.path); err != nil {
					t.Fatal(err)
				}
				if s.file, err = parser.ParseFile(s.set, s.path, s.text, parser.ParseComments|parser.SkipObjectResolution); err != nil {
					t.Fatal(err)
				}
				all = append(all, s)
			}
		}
	}
	return all
}

func TestUnsafeIsMarked(t *testing.T) {
	for _, s := range sources(t) {
		uses := unsafeUses(s.file)
		if len(uses) == 0 || s.pkg == "kernel/ground" {
			continue
		}
		base := strings.TrimSuffix(filepath.Base(s.path), ".go")
		if !strings.HasSuffix(base, "_unsafe") && !strings.HasSuffix(base, "_unsafe_test") {
			t.Errorf("%s: unsafe outside a file named *_unsafe.go", s.set.Position(uses[0]))
			continue
		}
		for _, use := range uses {
			if !explained(&s, use) {
				t.Errorf("%s: unsafe without a comment // SAFETY: in the same declaration", s.set.Position(use))
			}
		}
	}
}

// unsafeUses returns where package unsafe is used for more than constants.
func unsafeUses(f *ast.File) []token.Pos {
	var uses []token.Pos
	ast.Inspect(f, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := sel.X.(*ast.Ident); ok && x.Name == "unsafe" {
			switch sel.Sel.Name {
			case "Sizeof", "Offsetof", "Alignof":
			default:
				uses = append(uses, sel.Pos())
			}
		}
		return true
	})
	return uses
}

// explained tells whether the declaration around a position, or the comment before it, says SAFETY.
func explained(s *source, at token.Pos) bool {
	for _, d := range s.file.Decls {
		if at < d.Pos() || at > d.End() {
			continue
		}
		start := d.Pos()
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Doc != nil {
				start = d.Doc.Pos()
			}
		case *ast.GenDecl:
			if d.Doc != nil {
				start = d.Doc.Pos()
			}
		}
		for _, c := range s.file.Comments {
			if c.Pos() >= start && c.Pos() <= at && strings.Contains(c.Text(), "SAFETY:") {
				return true
			}
		}
	}
	return false
}

// directives are the compiler's that only the layer below the runtime may use.
var directives = []string{"//go:linkname ", "//go:nosplit", "//go:nowritebarrier", "//go:systemstack", "//go:notinheap"}

func TestDirectivesAreInGround(t *testing.T) {
	for _, s := range sources(t) {
		if s.pkg == "kernel/ground" {
			continue
		}
		for _, group := range s.file.Comments {
			for _, c := range group.List {
				for _, d := range directives {
					if strings.HasPrefix(c.Text, d) {
						t.Errorf("%s: %s", s.set.Position(c.Pos()), c.Text)
					}
				}
			}
		}
	}
}

func TestFilesAreSmall(t *testing.T) {
	for _, s := range sources(t) {
		switch lines := bytes.Count(s.text, []byte("\n")); {
		case lines > fileLimit:
			t.Errorf("%s has %d lines, more than %d", s.path, lines, fileLimit)
		case lines > fileSize:
			t.Logf("%s has %d lines, more than %d", s.path, lines, fileSize)
		}
	}
}

// Functions of tests may be longer: they are mostly tables.
func TestFunctionsAreSmall(t *testing.T) {
	for _, s := range sources(t) {
		if s.test() {
			continue
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if lines := s.line(f.End()) - s.line(f.Pos()) + 1; lines > functionSize {
				t.Errorf("%s: %s has %d lines, more than %d", s.set.Position(f.Pos()), f.Name.Name, lines, functionSize)
			}
		}
	}
}

// Packages begin with what they are for, in one sentence.
func TestPackagesSayWhatTheyAreFor(t *testing.T) {
	docs := make(map[string]bool)
	for _, s := range sources(t) {
		if !s.test() || strings.HasPrefix(s.pkg, "test/") {
			docs[s.pkg] = docs[s.pkg] || s.file.Doc != nil
		}
	}
	for pkg, found := range docs {
		if !found {
			t.Errorf("%s has no package comment", pkg)
		}
	}
}
