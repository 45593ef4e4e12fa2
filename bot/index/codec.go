package index

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"reflect"
	"slices"
	"time"

	"countersign/bot/access"
)

var timeType = reflect.TypeFor[time.Time]()

// A codec writes requests as bytes and reads them back: exported fields one
// after the other, with a checksum behind. It exists because lists decode many
// requests: encoding/json takes six times as long and twice the room. The bytes
// mean something only together with types, which is part of a file's version.
type codec struct {
	root  *shape
	known []*shape // what an interface may hold, by tag
	types string   // all types, in words
}

// A shape writes and reads one type.
type shape struct {
	t     reflect.Type
	write func(b []byte, v reflect.Value) ([]byte, error)
	read  func(s *source, v reflect.Value)
}

func newCodec() (*codec, error) {
	c := &codec{}
	shapes := map[reflect.Type]*shape{}
	// What a configuration's `with:` can hold, as YAML is decoded.
	for _, t := range []reflect.Type{
		reflect.TypeFor[bool](), reflect.TypeFor[int](), reflect.TypeFor[int64](), reflect.TypeFor[uint64](),
		reflect.TypeFor[float64](), reflect.TypeFor[string](), timeType, reflect.TypeFor[[]any](), reflect.TypeFor[[]string](),
		reflect.TypeFor[map[string]any](), reflect.TypeFor[map[any]any](),
	} {
		x, err := c.shapeOf(t, shapes)
		if err != nil {
			return nil, err
		}
		c.known = append(c.known, x)
	}
	var err error
	c.root, err = c.shapeOf(reflect.TypeFor[access.Request](), shapes)
	return c, err
}

func (c *codec) encode(r access.Request) ([]byte, error) {
	b, err := c.root.write(nil, reflect.ValueOf(r))
	if err != nil {
		return nil, fmt.Errorf("request %q: %w", r.ID, err)
	}
	return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b)), nil
}

func (c *codec) decode(b []byte) (access.Request, error) {
	var r access.Request
	n := len(b) - 4
	if n < 0 || crc32.ChecksumIEEE(b[:n]) != binary.LittleEndian.Uint32(b[n:]) {
		return r, ErrDamaged
	}
	s := source{rest: string(b[:n])}
	c.root.read(&s, reflect.ValueOf(&r).Elem())
	if s.failed || s.rest != "" {
		return access.Request{}, ErrDamaged
	}
	return r, nil
}

// A source is what is left to read. Texts are parts of it and share its memory.
type source struct {
	rest   string
	failed bool
}

func (s *source) uint() uint64 {
	var x uint64
	for i := range len(s.rest) {
		c := s.rest[i]
		x |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			s.rest = s.rest[i+1:]
			return x
		}
	}
	s.failed, s.rest = true, ""
	return 0
}

func (s *source) int() int64 {
	x := s.uint()
	return int64(x>>1) ^ -int64(x&1)
}

func (s *source) text() string {
	n := s.uint()
	if n > uint64(len(s.rest)) {
		s.failed, s.rest = true, ""
		return ""
	}
	out := s.rest[:n]
	s.rest = s.rest[n:]
	return out
}

// count is a length, which no honest one has beyond what is left to read.
func (s *source) count() int {
	n := s.uint()
	if n > uint64(len(s.rest))+1 {
		s.failed, s.rest = true, ""
		return 0
	}
	return int(n)
}

// shapeOf makes the shape of a type and of all that it is made of.
func (c *codec) shapeOf(t reflect.Type, shapes map[reflect.Type]*shape) (*shape, error) {
	if x := shapes[t]; x != nil {
		return x, nil
	}
	x := &shape{t: t}
	shapes[t] = x
	c.types += t.String() + " " + t.Kind().String() + "\n"
	switch t.Kind() {
	case reflect.String:
		x.write = func(b []byte, v reflect.Value) ([]byte, error) {
			return append(binary.AppendUvarint(b, uint64(v.Len())), v.String()...), nil
		}
		x.read = func(s *source, v reflect.Value) { v.SetString(s.text()) }
	case reflect.Bool:
		x.write = func(b []byte, v reflect.Value) ([]byte, error) {
			if v.Bool() {
				return append(b, 1), nil
			}
			return append(b, 0), nil
		}
		x.read = func(s *source, v reflect.Value) { v.SetBool(s.uint() == 1) }
	case reflect.Int, reflect.Int64:
		x.write = func(b []byte, v reflect.Value) ([]byte, error) { return binary.AppendVarint(b, v.Int()), nil }
		x.read = func(s *source, v reflect.Value) { v.SetInt(s.int()) }
	case reflect.Uint64:
		x.write = func(b []byte, v reflect.Value) ([]byte, error) { return binary.AppendUvarint(b, v.Uint()), nil }
		x.read = func(s *source, v reflect.Value) { v.SetUint(s.uint()) }
	case reflect.Float64:
		x.write = func(b []byte, v reflect.Value) ([]byte, error) {
			return binary.AppendUvarint(b, math.Float64bits(v.Float())), nil
		}
		x.read = func(s *source, v reflect.Value) { v.SetFloat(math.Float64frombits(s.uint())) }
	case reflect.Interface:
		x.write, x.read = c.writeAny, c.readAny
	case reflect.Pointer:
		return x, c.pointer(x, shapes)
	case reflect.Slice:
		return x, c.slice(x, shapes)
	case reflect.Map:
		return x, c.dict(x, shapes)
	case reflect.Struct:
		if t == timeType {
			x.write, x.read = writeTime, readTime
			return x, nil
		}
		return x, c.fields(x, shapes)
	default:
		return nil, fmt.Errorf("index: requests hold a %s, which cannot be stored", t)
	}
	return x, nil
}

func (c *codec) pointer(x *shape, shapes map[reflect.Type]*shape) error {
	elem, err := c.shapeOf(x.t.Elem(), shapes)
	x.write = func(b []byte, v reflect.Value) ([]byte, error) {
		if v.IsNil() {
			return append(b, 0), nil
		}
		return elem.write(append(b, 1), v.Elem())
	}
	x.read = func(s *source, v reflect.Value) {
		if s.uint() == 1 {
			v.Set(reflect.New(elem.t))
			elem.read(s, v.Elem())
		}
	}
	return err
}

// slice writes one more than the length; nil is 0.
func (c *codec) slice(x *shape, shapes map[reflect.Type]*shape) error {
	elem, err := c.shapeOf(x.t.Elem(), shapes)
	x.write = func(b []byte, v reflect.Value) ([]byte, error) {
		if v.IsNil() {
			return append(b, 0), nil
		}
		b = binary.AppendUvarint(b, uint64(v.Len())+1)
		var err error
		for i := 0; i < v.Len() && err == nil; i++ {
			b, err = elem.write(b, v.Index(i))
		}
		return b, err
	}
	x.read = func(s *source, v reflect.Value) {
		n := s.count()
		if n == 0 {
			return
		}
		v.Set(reflect.MakeSlice(x.t, n-1, n-1))
		for i := 0; i < n-1 && !s.failed; i++ {
			elem.read(s, v.Index(i))
		}
	}
	return err
}

func (c *codec) dict(x *shape, shapes map[reflect.Type]*shape) error {
	key, err := c.shapeOf(x.t.Key(), shapes)
	if err != nil {
		return err
	}
	elem, err := c.shapeOf(x.t.Elem(), shapes)
	x.write = func(b []byte, v reflect.Value) ([]byte, error) {
		if v.IsNil() {
			return append(b, 0), nil
		}
		b = binary.AppendUvarint(b, uint64(v.Len())+1)
		var err error
		for it := v.MapRange(); it.Next() && err == nil; {
			if b, err = key.write(b, it.Key()); err == nil {
				b, err = elem.write(b, it.Value())
			}
		}
		return b, err
	}
	x.read = func(s *source, v reflect.Value) {
		n := s.count()
		if n == 0 {
			return
		}
		v.Set(reflect.MakeMapWithSize(x.t, n-1))
		for i := 0; i < n-1 && !s.failed; i++ {
			k, e := reflect.New(key.t).Elem(), reflect.New(elem.t).Elem()
			key.read(s, k)
			elem.read(s, e)
			if !s.failed {
				v.SetMapIndex(k, e)
			}
		}
	}
	return err
}

func (c *codec) fields(x *shape, shapes map[reflect.Type]*shape) error {
	var at []int
	var of []*shape
	for i := range x.t.NumField() {
		f := x.t.Field(i)
		if !f.IsExported() {
			continue
		}
		c.types += x.t.Name() + "." + f.Name + " "
		y, err := c.shapeOf(f.Type, shapes)
		if err != nil {
			return err
		}
		c.types += f.Type.String() + "\n"
		at, of = append(at, i), append(of, y)
	}
	x.write = func(b []byte, v reflect.Value) ([]byte, error) {
		var err error
		for k, i := range at {
			if b, err = of[k].write(b, v.Field(i)); err != nil {
				return b, err
			}
		}
		return b, nil
	}
	x.read = func(s *source, v reflect.Value) {
		for k, i := range at {
			of[k].read(s, v.Field(i))
		}
	}
	return nil
}

// writeAny writes which type it is, from 1, and the value; nil is 0.
func (c *codec) writeAny(b []byte, v reflect.Value) ([]byte, error) {
	if v.IsNil() {
		return append(b, 0), nil
	}
	i := slices.IndexFunc(c.known, func(x *shape) bool { return x.t == v.Elem().Type() })
	if i < 0 {
		return b, fmt.Errorf("a target holds a %s, which cannot be stored", v.Elem().Type())
	}
	return c.known[i].write(append(b, byte(i+1)), v.Elem())
}

func (c *codec) readAny(s *source, v reflect.Value) {
	tag := s.uint()
	if tag == 0 {
		return
	}
	if tag > uint64(len(c.known)) {
		s.failed, s.rest = true, ""
		return
	}
	x := c.known[tag-1]
	e := reflect.New(x.t).Elem()
	x.read(s, e)
	v.Set(e)
}

// writeTime writes whether there is a time at all, its seconds since 1970 and its
// nanoseconds. Which zone it was in is not kept: it is UTC.
func writeTime(b []byte, v reflect.Value) ([]byte, error) {
	t := v.Interface().(time.Time)
	if t.IsZero() {
		return append(b, 0), nil
	}
	b = append(b, 1)
	return binary.AppendUvarint(binary.AppendVarint(b, t.Unix()), uint64(t.Nanosecond())), nil
}

func readTime(s *source, v reflect.Value) {
	if s.uint() == 0 {
		return
	}
	sec := s.int()
	*v.Addr().Interface().(*time.Time) = time.Unix(sec, int64(s.uint())).UTC()
}
