// Package docs checks the documents: the names of code that they use exist, and so do the files that they link to. It
// has only tests.
package docs

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// documents are the files whose names of code are checked.
var documents = []string{"docs/socket-layer.md", "docs/vsock.md"}

var (
	codeSpan = regexp.MustCompile("`([^`\n]+)`")
	fence    = regexp.MustCompile("(?ms)^```.*?^```$")
	goName   = regexp.MustCompile(`^([a-z][a-z0-9]*)\.([A-Za-z_]\w*)(?:\.([A-Za-z_]\w*))?(?:\(\))?$`)
	fileName = regexp.MustCompile(`\.(go|c|s|md|txt|log|pcap|sh|img)$`)
	link     = regexp.MustCompile(`\]\(([^)#\s]+)(?:#[^)]*)?\)`)
)

// engine are the packages of gVisor that documents name.
var engine = []string{"tcpip", "tcpip/stack", "tcpip/transport/tcp", "tcpip/network/ipv4", "tcpip/network/ipv6", "waiter"}

func root(t *testing.T) string {
	t.Helper()
	return strings.TrimSpace(goTool(t, "list", "-m", "-f", "{{.Dir}}"))
}

func goTool(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %v: %v", args, err)
	}
	return string(out)
}

// scope is what a package declares: functions, types, variables and constants by name, methods and fields as Type.Name.
type scope map[string]bool

// packages returns the scopes of wick's packages and the engine's, by package name.
func packages(t *testing.T, root string) map[string]scope {
	t.Helper()
	all := make(map[string]scope)
	for _, tree := range []string{"kernel", "packet", "hostlink", "bundle", "vsock", "vmm"} {
		err := filepath.WalkDir(filepath.Join(root, tree), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.IsDir() {
				return err
			}
			return addPackage(all, path)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	gvisor := strings.TrimSpace(goTool(t, "list", "-m", "-f", "{{.Dir}}", "gvisor.dev/gvisor"))
	for _, p := range engine {
		if err := addPackage(all, filepath.Join(gvisor, "pkg", p)); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// addPackage adds what the files of a folder declare, but for tests.
func addPackage(all map[string]scope, dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return err
	}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		s := all[f.Name.Name]
		if s == nil {
			s = make(scope)
			all[f.Name.Name] = s
		}
		for _, d := range f.Decls {
			s.declare(d)
		}
	}
	return nil
}

func (s scope) declare(d ast.Decl) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil {
			s[d.Name.Name] = true
			return
		}
		s[receiver(d.Recv.List[0].Type)+"."+d.Name.Name] = true
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.ValueSpec:
				for _, name := range spec.Names {
					s[name.Name] = true
				}
			case *ast.TypeSpec:
				s[spec.Name.Name] = true
				s.members(spec.Name.Name, spec.Type)
			}
		}
	}
}

// members declares the fields of a struct or the methods of an interface.
func (s scope) members(name string, t ast.Expr) {
	var fields *ast.FieldList
	switch t := t.(type) {
	case *ast.StructType:
		fields = t.Fields
	case *ast.InterfaceType:
		fields = t.Methods
	default:
		return
	}
	for _, f := range fields.List {
		for _, n := range f.Names {
			s[name+"."+n.Name] = true
		}
	}
}

// receiver is the name of a method's type.
func receiver(t ast.Expr) string {
	switch t := t.(type) {
	case *ast.StarExpr:
		return receiver(t.X)
	case *ast.IndexExpr:
		return receiver(t.X)
	case *ast.IndexListExpr:
		return receiver(t.X)
	case *ast.Ident:
		return t.Name
	}
	return ""
}

// check says what is wrong with a code span, or "".
func check(all map[string]scope, span string) string {
	m := goName.FindStringSubmatch(span)
	if m == nil || fileName.MatchString(span) {
		return ""
	}
	s, ok := all[m[1]]
	if !ok {
		return fmt.Sprintf("`%s`: no package %s", span, m[1])
	}
	name := m[2]
	if m[3] != "" {
		name += "." + m[3]
	}
	if !s[name] {
		return fmt.Sprintf("`%s`: package %s has no %s", span, m[1], name)
	}
	return ""
}

func TestNamesExist(t *testing.T) {
	root := root(t)
	all := packages(t, root)
	for _, name := range documents {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		checked := 0
		for _, m := range codeSpan.FindAllSubmatch(fence.ReplaceAll(text, nil), -1) {
			span := string(m[1])
			if wrong := check(all, span); wrong != "" {
				t.Errorf("%s: %s", name, wrong)
			}
			if goName.MatchString(span) {
				checked++
			}
		}
		if checked < 20 {
			t.Errorf("%s: only %d names of code were found", name, checked)
		}
	}
}

// The check must find what is wrong.
func TestCheck(t *testing.T) {
	all := map[string]scope{"net": {"Link": true, "Link.Transmit": true}}
	for span, good := range map[string]bool{
		"net.Link": true, "net.Link.Transmit": true, "net.Link.Transmit()": true, "net.Link.Gone": false, "net.Gone": false,
		"gone.Link": false, "main.go": true, "read": true, "10.0.2.2": true, "go test ./net.Link": true,
	} {
		if wrong := check(all, span); (wrong == "") != good {
			t.Errorf("%s: %q", span, wrong)
		}
	}
}

func TestLinksLeadSomewhere(t *testing.T) {
	root := root(t)
	files := markdown(t, root)
	if len(files) < 3 {
		t.Fatalf("only %v", files)
	}
	for _, name := range files {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllSubmatch(fence.ReplaceAll(text, nil), -1) {
			target := string(m[1])
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			if _, err := os.Stat(filepath.Join(root, filepath.Dir(name), target)); err != nil {
				t.Errorf("%s links to %s: %v", name, target, err)
			}
		}
	}
}

// markdown returns the Markdown files of the module, without those that are built.
func markdown(t *testing.T, root string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if d.IsDir() && (name == "out" || name == "bin" || name == ".git") {
			return fs.SkipDir
		}
		if strings.HasSuffix(name, ".md") {
			names = append(names, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
