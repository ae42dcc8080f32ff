package sigstorefake

import (
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/cyberphone/json-canonicalization/go/src/webpki.org/jsoncanonicalizer"
	"github.com/digitorus/timestamp"
	v1 "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	rekortiles "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	rekornote "github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/sigstore/rekor/pkg/generated/models"
	"github.com/sigstore/rekor/pkg/types"
	"github.com/sigstore/rekor/pkg/util"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
	"google.golang.org/protobuf/encoding/protojson"

	// the kind of entry that Rekor v1 keeps of an envelope
	_ "github.com/sigstore/rekor/pkg/types/dsse/v0.0.1"
)

// timestamp answers by RFC 3161.
func (i *Instance) timestamp(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	i.check(err)
	req, err := timestamp.ParseRequest(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	stamp := timestamp.Timestamp{HashAlgorithm: req.HashAlgorithm, HashedMessage: req.HashedMessage, Time: time.Now(), Nonce: req.Nonce,
		Policy: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 2}}
	res, err := stamp.CreateResponseWithOpts(i.tsa[0], i.tsaBy, crypto.SHA256)
	i.check(err)
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(res)
}

// rekor1 adds an entry, which is then alone in a tree of its own, and promises it by a signed entry timestamp.
func (i *Instance) rekor1(w http.ResponseWriter, r *http.Request) {
	proposed, err := models.UnmarshalProposedEntry(r.Body, jsonConsumer{})
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	entry, err := types.UnmarshalEntry(proposed)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	body, err := types.CanonicalizeEntry(r.Context(), entry)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	now, index, size, id := time.Now().Unix(), int64(0), int64(1), hex.EncodeToString(i.logID())
	promise, err := json.Marshal(map[string]any{"body": base64.StdEncoding.EncodeToString(body), "integratedTime": now, "logID": id, "logIndex": index})
	i.check(err)
	canonical, err := jsoncanonicalizer.Transform(promise)
	i.check(err)
	sum := sha256.Sum256(canonical)
	set, err := i.logBy.Sign(nil, sum[:], crypto.SHA256)
	i.check(err)
	leaf := rfc6962.DefaultHasher.HashLeaf(body)
	signer, err := signature.LoadECDSASignerVerifier(i.logBy, crypto.SHA256)
	i.check(err)
	checkpoint, err := util.CreateAndSignCheckpoint(r.Context(), i.host(), 123, 1, leaf, signer)
	i.check(err)
	root, uuid, point := hex.EncodeToString(leaf), hex.EncodeToString(leaf), string(checkpoint)
	w.Header().Set("Location", "/api/v1/log/entries/"+uuid)
	w.Header().Set("ETag", uuid)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(models.LogEntry{uuid: {Body: base64.StdEncoding.EncodeToString(body), IntegratedTime: &now, LogID: &id, LogIndex: &index,
		Verification: &models.LogEntryAnonVerification{SignedEntryTimestamp: set,
			InclusionProof: &models.InclusionProof{Checkpoint: &point, Hashes: []string{}, LogIndex: &index, RootHash: &root, TreeSize: &size}}}})
}

type jsonConsumer struct{}

func (jsonConsumer) Consume(r io.Reader, into any) error { return json.NewDecoder(r).Decode(into) }

// rekor2 adds an entry, which is then alone in a tree of its own. It gives no time.
func (i *Instance) rekor2(w http.ResponseWriter, r *http.Request) {
	data, err := io.ReadAll(r.Body)
	i.check(err)
	req := &rekortiles.CreateEntryRequest{}
	if err := protojson.Unmarshal(data, req); err != nil || req.GetHashedRekordRequestV002() == nil {
		http.Error(w, "no entry", http.StatusBadRequest)
		return
	}
	asked := req.GetHashedRekordRequestV002()
	entry := &rekortiles.Entry{ApiVersion: "0.0.2", Kind: "hashedrekord", Spec: &rekortiles.Spec{Spec: &rekortiles.Spec_HashedRekordV002{
		HashedRekordV002: &rekortiles.HashedRekordLogEntryV002{Signature: asked.GetSignature(),
			Data: &v1.HashOutput{Algorithm: v1.HashAlgorithm_SHA2_256, Digest: asked.GetDigest()}}}}}
	plain, err := protojson.Marshal(entry)
	i.check(err)
	body, err := jsoncanonicalizer.Transform(plain)
	i.check(err)
	leaf := rfc6962.DefaultHasher.HashLeaf(body)
	tle := &protorekor.TransparencyLogEntry{LogId: &v1.LogId{KeyId: i.logID()}, KindVersion: &protorekor.KindVersion{Kind: "hashedrekord", Version: "0.0.2"},
		InclusionProof:    &protorekor.InclusionProof{TreeSize: 1, RootHash: leaf, Checkpoint: &protorekor.Checkpoint{Envelope: i.checkpoint(leaf)}},
		CanonicalizedBody: body}
	answer, err := protojson.Marshal(tle)
	i.check(err)
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(answer)
}

func (i *Instance) checkpoint(hash []byte) string {
	signer, err := signature.LoadECDSASignerVerifier(i.logBy, crypto.SHA256)
	i.check(err)
	by, err := rekornote.NewNoteSigner(context.Background(), i.host(), signer)
	i.check(err)
	signed, err := note.Sign(&note.Note{Text: string(log.Checkpoint{Origin: i.host(), Size: 1, Hash: hash}.Marshal())}, by)
	i.check(err)
	return string(signed)
}
