package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
)

// chosenEnv names the mutant that a binary of many is to be.
const chosenEnv = "LIFEBOAT_MUTANT"

// chosenFile is what a package with mutants gets besides.
const chosenFile = "package %s\n\nimport mutantOS \"os\"\n\nvar mutantChosen = mutantOS.Getenv(%q)\n"

// switched is a file's text with all mutants in it, and the name of its package:
// each one's function is there a second time, changed, and the first begins with
// a question:
//
//	func f(x int) error {
//		if mutantChosen == "name" { return fMutant7(x) }
//
// A mutant that is not inside of a function, or whose function cannot be called
// with its own parameters, is not among them: alone says which.
func switched(text string, mutants []*mutant) (changed, pkg string, alone []*mutant, err error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "", text, parser.SkipObjectResolution)
	if err != nil {
		return "", "", nil, err
	}
	offset := func(p token.Pos) int { return set.Position(p).Offset }
	questions := map[int]string{} // by the offset of a body's first byte
	var copies strings.Builder
	for i, m := range mutants {
		from := strings.Index(text, m.search)
		f := around(file, offset, from, from+len(m.search))
		call, ok := "", false
		name := ""
		if f != nil {
			name = fmt.Sprintf("%sMutant%d", f.Name.Name, i)
			call, ok = callOf(f, name, func(n ast.Node) string { return text[offset(n.Pos()):offset(n.End())] })
		}
		if !ok {
			alone = append(alone, m)
			continue
		}
		after := from + len(m.search)
		function := text[offset(f.Pos()):from] + m.replacement + text[after:max(after, offset(f.End()))]
		next := text[offset(f.Name.End()) : offset(f.Name.End())+1]
		copies.WriteString("\n" + strings.Replace(function, " "+f.Name.Name+next, " "+name+next, 1) + "\n")
		questions[offset(f.Body.Lbrace)+1] += fmt.Sprintf("if mutantChosen == %q { %s };", m.name, call)
	}
	var out strings.Builder
	for i := range len(text) + 1 {
		out.WriteString(questions[i])
		if i < len(text) {
			out.WriteByte(text[i])
		}
	}
	return out.String() + copies.String(), file.Name.Name, alone, nil
}

// around is the function whose body holds these bytes.
func around(file *ast.File, offset func(token.Pos) int, from, to int) *ast.FuncDecl {
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if ok && f.Body != nil && offset(f.Pos()) <= from && to <= offset(f.End())+1 {
			return f
		}
	}
	return nil
}

// callOf is the statement that hands a function's own parameters to its copy.
func callOf(f *ast.FuncDecl, to string, text func(ast.Node) string) (call string, ok bool) {
	if f.Name.Name == "init" || f.Name.Name == "main" {
		return "", false
	}
	if f.Recv != nil {
		if len(f.Recv.List[0].Names) == 0 || f.Recv.List[0].Names[0].Name == "_" {
			return "", false
		}
		to = f.Recv.List[0].Names[0].Name + "." + to
	}
	var args []string
	for _, p := range f.Type.Params.List {
		unused := "*new(" + text(p.Type) + ")" // of a parameter without a name
		if len(p.Names) == 0 {
			args = append(args, unused)
		}
		for _, n := range p.Names {
			arg := n.Name
			if n.Name == "_" {
				arg = unused
			}
			if _, many := p.Type.(*ast.Ellipsis); many {
				arg += "..."
			}
			args = append(args, arg)
		}
	}
	if f.Type.TypeParams != nil {
		var types []string
		for _, p := range f.Type.TypeParams.List {
			for _, n := range p.Names {
				types = append(types, n.Name)
			}
		}
		to += "[" + strings.Join(types, ", ") + "]"
	}
	call = to + "(" + strings.Join(args, ", ") + ")"
	if f.Type.Results != nil {
		return "return " + call, true
	}
	return call + "; return", true
}
