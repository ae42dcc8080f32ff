package main

// part is a piece of a Go file. NAME is replaced by a name that is the file's own, word by a word. An import may be
// given a name before an equals sign.
type part struct{ imports, code string }

// parts are what services consist of.
var parts = []part{
	{"context fmt sync", `
// NAME keeps what is known of each word. sentence.
type NAME struct {
	mu    sync.Mutex
	items map[string]int
	limit int
}

// Add adds to the word.
func (s *NAME) Add(ctx context.Context, key string, n int) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("word: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.items == nil {
		s.items = map[string]int{}
	}
	if s.limit > 0 && s.items[key]+n > s.limit {
		return fmt.Errorf("word %q is full", key)
	}
	s.items[key] += n
	return nil
}

// Sum is over all words.
func (s *NAME) Sum() (total int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.items {
		total += n
	}
	return total
}`},
	{"encoding/json net/http strconv", `
// NAME answers with one word. sentence.
func NAME(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.Atoi(r.URL.Query().Get("word"))
	if err != nil || id < 0 {
		http.Error(w, "no such word", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	answer := struct {
		ID   int    ` + "`json:\"id\"`" + `
		Name string ` + "`json:\"name\"`" + `
	}{id, "word"}
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}`},
	{"bufio fmt io strings", `
// NAME reads words, one a line. sentence.
func NAME(r io.Reader) (map[string][]string, error) {
	found := map[string][]string{}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		switch {
		case line == "", strings.HasPrefix(line, "#"):
			continue
		case !strings.Contains(line, "="):
			return nil, fmt.Errorf("line %d: no word", n)
		}
		key, value, _ := strings.Cut(line, "=")
		found[strings.TrimSpace(key)] = append(found[strings.TrimSpace(key)], strings.Fields(value)...)
	}
	return found, lines.Err()
}`},
	{"cmp errors slices", `
// NAME sorts by weight. sentence.
func NAME[K cmp.Ordered, V any](items map[K]V, weight func(V) int) ([]K, error) {
	if weight == nil {
		return nil, errors.New("no weight for word")
	}
	keys := make([]K, 0, len(items))
	for k := range items {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b K) int {
		return cmp.Or(cmp.Compare(weight(items[a]), weight(items[b])), cmp.Compare(a, b))
	})
	return keys, nil
}`},
	{"context database/sql time", `
// NAME is a row of word. sentence.
type NAME struct {
	ID      int64
	Title   string
	Created time.Time
}

// LoadNAME reads the rows since a time.
func LoadNAME(ctx context.Context, db *sql.DB, since time.Time) (list []NAME, err error) {
	rows, err := db.QueryContext(ctx, "SELECT id, title, created FROM word WHERE created > $1 ORDER BY id", since)
	if err != nil {
		return nil, err
	}
	defer func() {
		if e := rows.Close(); err == nil {
			err = e
		}
	}()
	for rows.Next() {
		var one NAME
		if err := rows.Scan(&one.ID, &one.Title, &one.Created); err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return list, rows.Err()
}`},
	{"fmt core=k8s.io/api/core/v1 meta=k8s.io/apimachinery/pkg/apis/meta/v1", `
// NAME makes a pod for word. sentence.
func NAME(name, image string, ports ...int32) (*core.Pod, error) {
	if name == "" || image == "" {
		return nil, fmt.Errorf("word: a name and an image are needed")
	}
	container := core.Container{Name: "word", Image: image}
	for _, p := range ports {
		container.Ports = append(container.Ports, core.ContainerPort{ContainerPort: p})
	}
	return &core.Pod{
		ObjectMeta: meta.ObjectMeta{Name: name, Labels: map[string]string{"app": "word"}},
		Spec:       core.PodSpec{Containers: []core.Container{container}},
	}, nil
}`},
	{"fmt yaml=go.yaml.in/yaml/v3", `
// NAME are the settings of word. sentence.
type NAME struct {
	Name    string            ` + "`yaml:\"name\"`" + `
	Labels  map[string]string ` + "`yaml:\"labels\"`" + `
	Retries int               ` + "`yaml:\"retries\"`" + `
}

// ParseNAME reads settings.
func ParseNAME(text []byte) (NAME, error) {
	var s NAME
	if err := yaml.Unmarshal(text, &s); err != nil {
		return s, fmt.Errorf("word: %w", err)
	}
	if s.Retries < 0 || s.Retries > 10 {
		return s, fmt.Errorf("word: %d retries are too many or too few", s.Retries)
	}
	return s, nil
}`},
	{"context time github.com/google/uuid", `
// NAME tries until there is an answer. sentence.
func NAME(ctx context.Context, attempts int, ask func(context.Context, string) (bool, error)) (string, error) {
	id := uuid.NewString()
	for n := range attempts {
		done, err := ask(ctx, id)
		if err != nil || done {
			return id, err
		}
		select {
		case <-time.After(time.Duration(n+1) * time.Second):
		case <-ctx.Done():
			return id, ctx.Err()
		}
	}
	return id, nil
}`},
	{"fmt github.com/google/go-containerregistry/pkg/name github.com/google/go-containerregistry/pkg/v1/remote", `
// NAME finds the digest of an image. sentence.
func NAME(image string) (string, error) {
	ref, err := name.ParseReference(image)
	if err != nil {
		return "", fmt.Errorf("word: %w", err)
	}
	head, err := remote.Head(ref)
	if err != nil {
		return "", fmt.Errorf("word %s: %w", ref, err)
	}
	return head.Digest.String(), nil
}`},
}

// weaknesses are what gosec finds, by its syntax rules, by way of values and by way of taint.
var weaknesses = []part{
	{"math/rand", `
// NAME draws. sentence.
func NAME(n int) int { return rand.Intn(n + 1) }`},
	{"crypto/md5 encoding/hex", `
// NAME is a checksum. sentence.
func NAME(b []byte) string {
	sum := md5.Sum(b)
	return hex.EncodeToString(sum[:])
}`},
	{"os", `
// NAME writes word. sentence.
func NAME(path string, b []byte) error { return os.WriteFile(path, b, 0o666) }`},
	{"crypto/tls net/http", `
// NAME trusts everyone. sentence.
func NAME() *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
}`},
	{"strconv", `
// NAME narrows. sentence.
func NAME(s string) (uint8, error) {
	n, err := strconv.Atoi(s)
	return uint8(n), err
}`},
	{"net/http os/exec", `
// NAME runs what is asked for. sentence.
func NAME(w http.ResponseWriter, r *http.Request) {
	out, err := exec.Command("sh", "-c", r.FormValue("word")).CombinedOutput()
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.Write(out)
}`},
	{"database/sql net/http", `
// NAME asks with what it was given. sentence.
func NAME(db *sql.DB, r *http.Request) (*sql.Rows, error) {
	return db.Query("SELECT * FROM word WHERE name = '" + r.FormValue("name") + "'")
}`},
	{"net/http os path/filepath", `
// NAME reads any file. sentence.
func NAME(w http.ResponseWriter, r *http.Request) {
	text, err := os.ReadFile(filepath.Join("word", r.URL.Query().Get("file")))
	if err == nil {
		w.Write(text)
	}
}`},
	{"", `
// NAME cuts. sentence.
func NAME() []int {
	few := make([]int, 2, 4)
	return few[:5]
}`},
}
