package evidence

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
)

// Forge changes members of a file and signs it anew: what somebody with the key could do. Figures of the manifest stay.
func Forge(file []byte, key ed25519.PrivateKey, change func(name string, body []byte) []byte) ([]byte, error) {
	in := bytes.NewReader(file)
	var out bytes.Buffer
	var members []Member
	for {
		name, body, err := readMember(in)
		if err != nil {
			return nil, err
		}
		if name == "" {
			return nil, errors.New("no manifest")
		}
		if name == nameManifest {
			var m Manifest
			if err := json.Unmarshal(body, &m); err != nil {
				return nil, err
			}
			m.Members = members
			raw, err := m.encode()
			if err != nil {
				return nil, err
			}
			err = errors.Join(writeMember(&out, nameManifest, raw), writeMember(&out, nameSignature, sign(key, raw)), writeEnd(&out))
			return out.Bytes(), err
		}
		body = change(name, body)
		members = append(members, memberOf(name, body))
		if err := writeMember(&out, name, body); err != nil {
			return nil, err
		}
	}
}
