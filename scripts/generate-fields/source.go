// Reads what reflection cannot see from a package's sources: markers, constants of enum types.
package main

import (
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"sort"
	"strconv"
	"strings"
)

// markers are the `+name=value` lines above a declaration.
type markers struct {
	values     map[string][]string
	documented bool
}

func (m *markers) has(name string) bool {
	return m != nil && m.values[name] != nil
}

func (m *markers) first(name string) string {
	if !m.has(name) {
		return ""
	}
	return m.values[name][0]
}

type source struct {
	types     map[string]*markers
	fields    map[string]*markers
	constants map[string]string
	typed     map[string][]string
	// derived maps a type defined as another package's type to that package and type.
	derived map[string][2]string
}

func (s *source) enum(name string) []string {
	seen := map[string]bool{}
	values := []string{}
	for _, value := range s.typed[name] {
		if !seen[value] {
			seen[value] = true
			values = append(values, value)
		}
	}
	sort.Strings(values)
	return values
}

func parseSource(path string) *source {
	s := &source{
		types: map[string]*markers{}, fields: map[string]*markers{},
		constants: map[string]string{}, typed: map[string][]string{},
		derived: map[string][2]string{},
	}
	cwd, err := os.Getwd()
	fail(err)
	pkg, err := build.Default.Import(path, cwd, build.FindOnly)
	fail(err)
	isSource := func(info fs.FileInfo) bool { return !strings.HasSuffix(info.Name(), "_test.go") }
	packages, err := parser.ParseDir(token.NewFileSet(), pkg.Dir, isSource, parser.ParseComments)
	fail(err)
	for _, parsed := range packages {
		for _, file := range parsed.Files {
			for _, declaration := range file.Decls {
				if general, ok := declaration.(*ast.GenDecl); ok {
					s.add(general, importsOf(file))
				}
			}
		}
	}
	return s
}

func importsOf(file *ast.File) map[string]string {
	imports := map[string]string{}
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		fail(err)
		name := path[strings.LastIndex(path, "/")+1:]
		if spec.Name != nil {
			name = spec.Name.Name
		}
		imports[name] = path
	}
	return imports
}

func (s *source) add(general *ast.GenDecl, imports map[string]string) {
	for _, spec := range general.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			doc := spec.Doc
			if doc == nil {
				doc = general.Doc
			}
			s.types[spec.Name.Name] = parseMarkers(doc)
			if structure, ok := spec.Type.(*ast.StructType); ok {
				s.addFields(spec.Name.Name, structure)
			}
			if selector, ok := spec.Type.(*ast.SelectorExpr); ok {
				if ident, ok := selector.X.(*ast.Ident); ok {
					s.derived[spec.Name.Name] = [2]string{imports[ident.Name], selector.Sel.Name}
				}
			}
		case *ast.ValueSpec:
			if general.Tok == token.CONST {
				s.addConstants(spec)
			}
		}
	}
}

func (s *source) addFields(owner string, structure *ast.StructType) {
	for _, field := range structure.Fields.List {
		m := parseMarkers(field.Doc)
		for _, name := range field.Names {
			s.fields[owner+"."+name.Name] = m
		}
		if len(field.Names) == 0 {
			s.fields[owner+"."+embeddedName(field.Type)] = m
		}
	}
}

func embeddedName(expression ast.Expr) string {
	switch e := expression.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	case *ast.StarExpr:
		return embeddedName(e.X)
	}
	return ""
}

func (s *source) addConstants(spec *ast.ValueSpec) {
	for i, name := range spec.Names {
		if i >= len(spec.Values) {
			continue
		}
		typeName := ""
		if ident, ok := spec.Type.(*ast.Ident); ok {
			typeName = ident.Name
		}
		value := spec.Values[i]
		if call, ok := value.(*ast.CallExpr); ok && len(call.Args) == 1 {
			if ident, ok := call.Fun.(*ast.Ident); ok {
				typeName, value = ident.Name, call.Args[0]
			}
		}
		literal, ok := value.(*ast.BasicLit)
		if !ok || literal.Kind != token.STRING {
			continue
		}
		text, err := strconv.Unquote(literal.Value)
		fail(err)
		s.constants[name.Name] = text
		if typeName != "" {
			s.typed[typeName] = append(s.typed[typeName], text)
		}
	}
}

// parseMarkers reads the lines of a comment as openapi-gen does: everything after `---` and TODO lines is no description.
func parseMarkers(doc *ast.CommentGroup) *markers {
	m := &markers{values: map[string][]string{}}
	if doc == nil {
		return m
	}
	described := true
	for _, line := range strings.Split(doc.Text(), "\n") {
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "---":
			described = false
		case strings.HasPrefix(trimmed, "+"):
			name, value, _ := strings.Cut(trimmed[1:], "=")
			m.values[name] = append(m.values[name], value)
		case trimmed != "" && !strings.HasPrefix(trimmed, "TODO"):
			m.documented = m.documented || described
		}
	}
	return m
}
