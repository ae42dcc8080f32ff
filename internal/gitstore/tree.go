package gitstore

import (
	"bytes"
	"encoding/hex"
	"iter"
	"maps"
	"slices"
	"strings"
)

const (
	folderMode = "40000"
	fileMode   = "100644"
	idBytes    = 20 // of an id, in a folder

	emptyFolder = "4b825dc642cb6eb9a060e54bf8d69288fbee4904" // id of a folder with nothing in it
)

// entry is one name in a folder of the catalogue.
type entry struct {
	mode, name, id string
	start, end     int // where it is in the folder's text
}

// plain tells whether it is a file; links, other repositories and folders are not.
func (e entry) plain() bool { return strings.HasPrefix(e.mode, "100") }

// key is what Git sorts by: a folder as if its name ended in a slash.
func (e entry) key() string {
	if e.mode == folderMode {
		return e.name + "/"
	}
	return e.name
}

// entries are the names in a folder, as Git writes it: MODE SPACE NAME NUL and the bytes of the id.
func entries(tree []byte) iter.Seq[entry] {
	return func(yield func(entry) bool) {
		for at := 0; at < len(tree); {
			space, null := bytes.IndexByte(tree[at:], ' '), bytes.IndexByte(tree[at:], 0)
			if space < 0 || null < space || at+null+1+idBytes > len(tree) {
				return
			}
			end := at + null + 1 + idBytes
			e := entry{mode: string(tree[at : at+space]), name: string(tree[at+space+1 : at+null]), id: hex.EncodeToString(tree[end-idBytes : end]), start: at, end: end}
			if !yield(e) {
				return
			}
			at = end
		}
	}
}

// wellFormed tells whether entries gives all that is in a folder: a name that is left out would read as a file that is not there.
func wellFormed(tree []byte) bool {
	end := 0
	for e := range entries(tree) {
		end = e.end
	}
	return end == len(tree)
}

func find(tree []byte, name string) (entry, bool) {
	for e := range entries(tree) {
		if e.name == name {
			return e, true
		}
	}
	return entry{}, false
}

// with gives the folder with one entry set.
func with(tree []byte, set entry) ([]byte, error) {
	raw, err := hex.DecodeString(set.id)
	if err != nil {
		return nil, err
	}
	text := append([]byte(set.mode+" "+set.name+"\x00"), raw...)
	start, end := len(tree), len(tree)
	if old, there := find(tree, set.name); there {
		start, end = old.start, old.end
	} else {
		for e := range entries(tree) {
			if e.key() > set.key() {
				start, end = e.start, e.start
				break
			}
		}
	}
	return slices.Concat(tree[:start], text, tree[end:]), nil
}

// without gives the folder with one entry taken away.
func without(tree []byte, name string) []byte {
	if old, there := find(tree, name); there {
		return slices.Concat(tree[:old.start], tree[old.end:])
	}
	return tree
}

// graft writes files over a folder, takes away those that are nil, and gives the new folder's id. The folder and those on the way to the files have to be there;
// what is written over was read before, so it is a file, or is not there.
func (o *objects) graft(folder string, files map[string][]byte) (string, error) {
	var tree []byte
	if folder != "" {
		old, err := o.get(folder)
		if err != nil {
			return "", err
		}
		tree = old.data
	}
	below := map[string]map[string][]byte{}
	for path, data := range files {
		name, rest, deeper := strings.Cut(path, "/")
		if deeper {
			if below[name] == nil {
				below[name] = map[string][]byte{}
			}
			below[name][rest] = data
			continue
		}
		if data == nil {
			tree = without(tree, name)
			continue
		}
		id, err := o.put("blob", data)
		if err != nil {
			return "", err
		}
		if tree, err = with(tree, entry{mode: fileMode, name: name, id: id}); err != nil {
			return "", err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(below)) {
		old, _ := find(tree, name)
		id, err := o.graft(old.id, below[name])
		if err != nil {
			return "", err
		}
		if id == emptyFolder { // Git has none
			tree = without(tree, name)
			continue
		}
		if tree, err = with(tree, entry{mode: folderMode, name: name, id: id}); err != nil {
			return "", err
		}
	}
	return o.put("tree", tree)
}
