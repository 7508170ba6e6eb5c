package wechat

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/purselane/purselane/backend/gateway/channel"
)

// fields are a message of API v2, which agreements and their debits still speak: flat XML, signed with a key that both sides have.
type fields map[string]string

// text is what is signed: all that is not empty, by name, and the key.
func (f fields) text(key string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if name != "sign" && f[name] != "" {
			b.WriteString(name + "=" + f[name] + "&")
		}
	}
	return b.String() + "key=" + key
}

// signature is MD5, or HMAC-SHA256 where the message says so.
func (f fields) signature(key string) string {
	if f["sign_type"] == "HMAC-SHA256" {
		m := hmac.New(sha256.New, []byte(key))
		m.Write([]byte(f.text(key)))
		return strings.ToUpper(hex.EncodeToString(m.Sum(nil)))
	}
	sum := md5.Sum([]byte(f.text(key)))
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// authentic proves that whoever has the key has signed. The error is a *channel.ForgedError.
func (f fields) authentic(key string) error {
	switch {
	case f["sign"] == "":
		return &channel.ForgedError{Why: "it has no sign: WeChat Pay signs every message of API v2 but refusals of a whole request"}
	case !hmac.Equal([]byte(f.signature(key)), []byte(strings.ToUpper(f["sign"]))):
		return &channel.ForgedError{Why: "the sign does not fit: the message was changed on the way, or the API v2 key set here is not the merchant's of today"}
	}
	return nil
}

func (f fields) xml() []byte {
	var b bytes.Buffer
	b.WriteString("<xml>")
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if f[name] != "" {
			b.WriteString("<" + name + ">")
			_ = xml.EscapeText(&b, []byte(f[name])) // a buffer takes all
			b.WriteString("</" + name + ">")
		}
	}
	b.WriteString("</xml>")
	return b.Bytes()
}

// ParseXML reads a message of API v2: one element with elements of text in it, each name once.
func ParseXML(raw []byte) (map[string]string, error) {
	d, out, depth, name := xml.NewDecoder(bytes.NewReader(raw)), map[string]string{}, 0, ""
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) && len(out) > 0 && depth == 0 {
			return out, nil
		}
		if err != nil {
			return nil, errors.New("it is no XML of API v2")
		}
		switch t := token.(type) {
		case xml.StartElement:
			depth++
			_, twice := out[t.Name.Local]
			if depth > 2 || depth == 1 && (t.Name.Local != "xml" || len(out) > 0) || twice {
				return nil, fmt.Errorf("the element %.40q is where none may be", t.Name.Local)
			}
			if name = t.Name.Local; depth == 2 {
				out[name] = ""
			}
		case xml.EndElement:
			depth--
		case xml.CharData:
			if depth == 2 {
				out[name] += string(t)
			}
		case xml.Directive:
			return nil, errors.New("a declaration has no place in a message")
		}
	}
}

// call2 sends a request of API v2. The answer is verified; a refusal in it is no error.
func (c *Channel) call2(ctx context.Context, target string, in fields) (fields, *refusal, error) {
	in["appid"], in["mch_id"] = c.set.AppID, c.set.MerchantID
	in["sign"] = in.signature(c.set.Agreements.V2Key)
	status, body, err := c.send2(ctx, target, in.xml())
	if err != nil {
		return nil, nil, fmt.Errorf("WeChat Pay %s: %w", target, err)
	}
	out, err := ParseXML(body)
	f := fields(out)
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("WeChat Pay %s: HTTP %d: %w", target, status, &channel.ForgedError{Why: err.Error()})
	case f["return_code"] != "SUCCESS": // it is not signed, and proves nothing
		return nil, nil, fmt.Errorf("WeChat Pay %s: HTTP %d (it says %q)", target, status, short(f["return_msg"], 64))
	}
	if err := f.authentic(c.set.Agreements.V2Key); err != nil {
		return nil, nil, fmt.Errorf("WeChat Pay %s: HTTP %d: %w", target, status, err)
	}
	if f["mch_id"] != "" && f["mch_id"] != c.set.MerchantID {
		return nil, nil, fmt.Errorf("WeChat Pay %s: the answer is about merchant %s, and ours is %s", target, f["mch_id"], c.set.MerchantID)
	}
	if f["result_code"] != "SUCCESS" {
		return nil, &refusal{Status: status, Code: f["err_code"], Message: f["err_code_des"]}, nil
	}
	return f, nil, nil
}

// send2 tries the hosts in order while they cannot be dialled.
func (c *Channel) send2(ctx context.Context, target string, body []byte) (int, []byte, error) {
	if err := ctx.Err(); err != nil {
		return 0, nil, fmt.Errorf("%w: %w", channel.ErrNotSent, err)
	}
	why := errors.New("no host is set")
	for _, host := range c.set.Hosts {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, host+target, bytes.NewReader(body))
		if err != nil {
			return 0, nil, fmt.Errorf("%w: %w", channel.ErrNotSent, err)
		}
		req.Header.Set("Content-Type", "text/xml; charset=utf-8")
		req.Header.Set("User-Agent", "purselane")
		answer, err := c.set.HTTP.Do(req)
		if err != nil && channel.NotSent(req, err) {
			why = err
			continue
		}
		if err != nil {
			return 0, nil, err
		}
		defer answer.Body.Close()
		got, err := channel.ReadAnswer(answer.Body)
		return answer.StatusCode, got, err
	}
	return 0, nil, fmt.Errorf("%w: %w", channel.ErrNotSent, why)
}

// plain is a text that API v2 takes: characters of at most three bytes, cut to at most n bytes.
func plain(s string, n int) string {
	return short(strings.Map(func(r rune) rune {
		if r > 0xFFFF || r < ' ' || r == 0xFFFD {
			return -1
		}
		return r
	}, s), n)
}
