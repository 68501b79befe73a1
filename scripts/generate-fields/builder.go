// Walks Go types by reflection and interns what it finds into the table.
package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"sort"
	"strconv"
	"strings"
)

// Bits of a field's flags, as codec/field-table.ts reads them.
const (
	flagPointer = 1 << iota
	flagOmitEmpty
	flagInline
	flagRequired
	flagDocumented
	flagOmitZero
)

// special names the types with an encoding of their own.
var special = map[string]string{
	"k8s.io/apimachinery/pkg/apis/meta/v1.Time":                                             "Time",
	"k8s.io/apimachinery/pkg/apis/meta/v1.MicroTime":                                        "MicroTime",
	"k8s.io/apimachinery/pkg/apis/meta/v1.Duration":                                         "Duration",
	"k8s.io/apimachinery/pkg/apis/meta/v1.FieldsV1":                                         "FieldsV1",
	"k8s.io/apimachinery/pkg/api/resource.Quantity":                                         "Quantity",
	"k8s.io/apimachinery/pkg/util/intstr.IntOrString":                                       "IntOrString",
	"k8s.io/apimachinery/pkg/runtime.RawExtension":                                          "RawExtension",
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1.JSON":                         "JSON",
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1.JSONSchemaPropsOrBool":        "JSONSchemaPropsOrBool",
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1.JSONSchemaPropsOrArray":       "JSONSchemaPropsOrArray",
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1.JSONSchemaPropsOrStringArray": "JSONSchemaPropsOrStringArray",
}

type builder struct {
	table    table
	sources  map[string]*source
	packages map[string]int
	enums    map[string]int
	shapes   map[string]int
	structs  map[reflect.Type]int
	pending  []reflect.Type
}

func newBuilder() *builder {
	return &builder{
		table: table{
			Packages: [][2]string{}, Enums: [][]string{}, Shapes: []any{}, Structs: []any{},
			Kinds: map[string]map[string]int{}, Options: map[string]int{},
		},
		sources: map[string]*source{}, packages: map[string]int{}, enums: map[string]int{},
		shapes: map[string]int{}, structs: map[reflect.Type]int{},
	}
}

func (b *builder) addKind(groupVersion, kind string, t reflect.Type) {
	index := b.structIndex(t)
	if b.table.Kinds[groupVersion] == nil {
		b.table.Kinds[groupVersion] = map[string]int{}
	}
	isOption := t.PkgPath() == metaPackage &&
		(strings.HasSuffix(kind, "Options") || kind == "WatchEvent")
	if isOption && kind != "TableOptions" {
		b.table.Options[kind] = index
		return
	}
	b.table.Kinds[groupVersion][kind] = index
}

// finish expands every struct that was seen, in the order of their indexes.
func (b *builder) finish() {
	for i := 0; i < len(b.pending); i++ {
		b.table.Structs = append(b.table.Structs, b.describe(b.pending[i]))
	}
}

func (b *builder) structIndex(t reflect.Type) int {
	if index, ok := b.structs[t]; ok {
		return index
	}
	index := len(b.pending)
	b.structs[t] = index
	b.pending = append(b.pending, t)
	return index
}

func (b *builder) packageIndex(path string) int {
	if index, ok := b.packages[path]; ok {
		return index
	}
	alias := path[strings.LastIndex(path, "/")+1:]
	index := len(b.table.Packages)
	b.packages[path] = index
	b.table.Packages = append(b.table.Packages, [2]string{alias, openAPIPrefix(path)})
	return index
}

// openAPIPrefix turns k8s.io/api/core/v1 into io.k8s.api.core.v1.
func openAPIPrefix(path string) string {
	host, rest, _ := strings.Cut(path, "/")
	parts := strings.Split(host, ".")
	for i, j := 0, len(parts)-1; i < j; i, j = i+1, j-1 {
		parts[i], parts[j] = parts[j], parts[i]
	}
	return strings.Join(parts, ".") + "." + strings.ReplaceAll(rest, "/", ".")
}

func (b *builder) source(path string) *source {
	if b.sources[path] == nil {
		b.sources[path] = parseSource(path)
	}
	return b.sources[path]
}

// describe lists a struct: [name, package, attributes or 0, field...].
func (b *builder) describe(t reflect.Type) any {
	markers := b.source(t.PkgPath()).types[t.Name()]
	out := []any{t.Name(), b.packageIndex(t.PkgPath()), 0}
	attributes := map[string]any{}
	if markers.has("structType") {
		attributes["mt"] = markers.first("structType")
	}
	if markers.has("union") {
		attributes["u"] = b.union(t)
	}
	if len(attributes) > 0 {
		out[2] = attributes
	}
	for i := 0; i < t.NumField(); i++ {
		if field := b.field(t, t.Field(i)); field != nil {
			out = append(out, field)
		}
	}
	return out
}

// union lists the members of a +union struct: {discriminator, fields: {jsonName: goName}}.
func (b *builder) union(t reflect.Type) any {
	fields := map[string]string{}
	union := map[string]any{"f": fields}
	for i := 0; i < t.NumField(); i++ {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if b.fieldMarkers(t.PkgPath(), t.Name(), f.Name).has("unionDiscriminator") {
			union["d"] = name
		} else {
			fields[name] = f.Name
		}
	}
	return union
}

// field lists a field: [jsonName, shape, flags, protobufNumber, attributes?].
func (b *builder) field(owner reflect.Type, f reflect.StructField) any {
	tag, tagged := f.Tag.Lookup("json")
	if !f.IsExported() || tag == "-" || !tagged {
		return nil
	}
	options := strings.Split(tag, ",")
	markers := b.fieldMarkers(owner.PkgPath(), owner.Name(), f.Name)
	flags := 0
	has := func(option string) bool {
		for _, o := range options[1:] {
			if o == option {
				return true
			}
		}
		return false
	}
	set := func(bit int, on bool) {
		if on {
			flags |= bit
		}
	}
	inline := f.Anonymous && options[0] == ""
	required := !has("omitempty") && !markers.has("optional") || markers.has("required")
	set(flagPointer, f.Type.Kind() == reflect.Pointer)
	set(flagOmitEmpty, has("omitempty"))
	set(flagOmitZero, has("omitzero"))
	set(flagInline, inline)
	set(flagRequired, !inline && required)
	set(flagDocumented, markers.documented)
	number := 0
	if parts := strings.Split(f.Tag.Get("protobuf"), ","); len(parts) > 1 {
		n, err := strconv.Atoi(parts[1])
		fail(err)
		number = n
	}
	t := f.Type
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	out := []any{options[0], b.shape(t), flags, number}
	if attributes := b.attributes(owner, f, markers); len(attributes) > 0 {
		out = append(out, attributes)
	}
	return out
}

// fieldMarkers follows `type List metav1.List` to where the fields are written.
func (b *builder) fieldMarkers(path, typeName, field string) *markers {
	src := b.source(path)
	if m := src.fields[typeName+"."+field]; m != nil {
		return m
	}
	origin, ok := src.derived[typeName]
	if !ok {
		fail(fmt.Errorf("no source of %s.%s.%s", path, typeName, field))
	}
	return b.fieldMarkers(origin[0], origin[1], field)
}

func (b *builder) attributes(owner reflect.Type, f reflect.StructField, m *markers) map[string]any {
	out := map[string]any{}
	if m.has("listType") {
		out["lt"] = m.first("listType")
	}
	if m.has("listMapKey") {
		out["lk"] = m.values["listMapKey"]
	}
	if m.has("mapType") {
		out["mt"] = m.first("mapType")
	}
	if m.has("structType") {
		out["mt"] = m.first("structType")
	}
	if s := f.Tag.Get("patchStrategy"); s != "" {
		out["ps"] = s
	}
	if s := f.Tag.Get("patchMergeKey"); s != "" {
		out["pk"] = s
	}
	text := m.first("default")
	if text == "" {
		t := f.Type
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if t.PkgPath() != "" {
			text = b.source(t.PkgPath()).types[t.Name()].first("default")
		}
	}
	if text != "" {
		out["d"] = b.defaultValue(owner, text)
	}
	return out
}

func (b *builder) defaultValue(owner reflect.Type, text string) any {
	if name, ok := strings.CutPrefix(text, "ref("); ok {
		name = strings.TrimSuffix(name, ")")
		value, ok := b.source(owner.PkgPath()).constants[name]
		if !ok {
			fail(fmt.Errorf("no constant %s in %s", name, owner.PkgPath()))
		}
		return value
	}
	var value any
	fail(json.Unmarshal([]byte(text), &value))
	return value
}

// intern returns the index of a shape, adding it when it is new.
func (b *builder) intern(shape any) int {
	key, err := json.Marshal(shape)
	fail(err)
	if index, ok := b.shapes[string(key)]; ok {
		return index
	}
	index := len(b.table.Shapes)
	b.shapes[string(key)] = index
	b.table.Shapes = append(b.table.Shapes, shape)
	return index
}

// shape describes a type: a name for scalars and special types, or
// ["s", struct], ["n", base, goType, enum?], ["l", element, goType or 0, flags], ["m", value, keyGoType, goType or 0, flags].
// List and map flags: 1 pointer elements, 2 wrapped in a message of its own.
func (b *builder) shape(t reflect.Type) int {
	if name, ok := special[t.PkgPath()+"."+t.Name()]; ok {
		return b.intern(name)
	}
	switch t.Kind() {
	case reflect.Struct:
		return b.intern([]any{"s", b.structIndex(t)})
	case reflect.Interface:
		return b.intern("any")
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return b.intern("bytes")
		}
		elem, flags := b.element(t)
		return b.intern([]any{"l", elem, named(t), flags})
	case reflect.Map:
		elem, flags := b.element(t)
		return b.intern([]any{"m", elem, t.Key().String(), named(t), flags})
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int32, reflect.Int64, reflect.Float64:
		return b.scalar(t)
	}
	fail(fmt.Errorf("type %v has no shape", t))
	return 0
}

func (b *builder) scalar(t reflect.Type) int {
	base := t.Kind().String()
	if t.PkgPath() == "" {
		return b.intern(base)
	}
	src := b.source(t.PkgPath())
	if t.Kind() == reflect.String && src.types[t.Name()].has("enum") {
		return b.intern([]any{"n", base, t.String(), b.enumIndex(src.enum(t.Name()))})
	}
	return b.intern([]any{"n", base, t.String()})
}

func (b *builder) enumIndex(values []string) int {
	key := strings.Join(values, "\x00")
	if index, ok := b.enums[key]; ok {
		return index
	}
	index := len(b.table.Enums)
	b.enums[key] = index
	sort.Strings(values)
	b.table.Enums = append(b.table.Enums, values)
	return index
}

func (b *builder) element(t reflect.Type) (int, int) {
	flags := 0
	elem := t.Elem()
	if elem.Kind() == reflect.Pointer {
		flags |= 1
		elem = elem.Elem()
	}
	if _, ok := reflect.PointerTo(t).MethodByName("Marshal"); ok {
		flags |= 2
	}
	return b.shape(elem), flags
}

func named(t reflect.Type) any {
	if t.PkgPath() == "" {
		return 0
	}
	return t.String()
}
