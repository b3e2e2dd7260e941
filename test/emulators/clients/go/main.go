// Tries Google's Go clients on the local Storage and Pub/Sub: a line for each operation. With Debian's packages golang-go
// and golang-google-cloud-dev: GO111MODULE=off GOPATH=/usr/share/gocode go run main.go
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/ioutil"
	"math/rand"
	"os"

	"cloud.google.com/go/storage"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"
)

func tell(operation string, err error) {
	result := "ok"
	if err != nil {
		result = err.Error()
	}
	fmt.Printf("%s\t%s\n", operation, result)
}

func main() {
	ctx := context.Background()
	client, err := storage.NewClient(ctx, option.WithEndpoint(os.Getenv("STORAGE_URL")+"/storage/v1/"), option.WithoutAuthentication())
	if err != nil {
		panic(err)
	}
	bucket := client.Bucket("by-go")
	write := func(name string, content []byte, chunk int) error {
		writer := bucket.Object(name).NewWriter(ctx)
		writer.ChunkSize = chunk
		if _, err := writer.Write(content); err != nil {
			return err
		}
		return writer.Close()
	}
	same := func(reader *storage.Reader, err error, expected []byte) error {
		if err != nil {
			return err
		}
		content, err := ioutil.ReadAll(reader)
		if err == nil && !bytes.Equal(content, expected) {
			return errors.New("not what was uploaded")
		}
		return err
	}
	big := make([]byte, 20*1024*1024)
	rand.Read(big)
	tell("create a bucket", bucket.Create(ctx, "local", nil))
	tell("upload", write("small.txt", []byte("of small.txt\n"), 0))
	tell("upload in chunks", write("big", big, 1024*1024))
	tell("upload in odd chunks", write("odd", big[:3000001], 1000000))
	objects, count := bucket.Objects(ctx, &storage.Query{Prefix: "o"}), 0
	for {
		_, err = objects.Next()
		if err != nil {
			break
		}
		count++
	}
	if err == iterator.Done {
		err = nil
	}
	if count != 1 {
		err = fmt.Errorf("%d objects", count)
	}
	tell("list", err)
	reader, err := bucket.Object("small.txt").NewReader(ctx)
	tell("read", same(reader, err, []byte("of small.txt\n")))
	reader, err = bucket.Object("small.txt").NewRangeReader(ctx, 3, 5)
	tell("read a range", same(reader, err, []byte("small")))
	reader, err = bucket.Object("big").NewReader(ctx)
	tell("download what was uploaded", same(reader, err, big))
	_, err = bucket.Object("copy.txt").CopierFrom(bucket.Object("small.txt")).Run(ctx)
	tell("copy", err)
	_, err = bucket.Object("both").ComposerFrom(bucket.Object("small.txt"), bucket.Object("copy.txt")).Run(ctx)
	tell("compose", err)
	_, err = bucket.Object("both").Update(ctx, storage.ObjectAttrsToUpdate{Metadata: map[string]string{"a": "b"}})
	tell("set metadata", err)
	attributes, err := bucket.Object("both").Attrs(ctx)
	if err == nil && attributes.Metadata["a"] != "b" {
		err = errors.New("other metadata")
	}
	tell("describe", err)
	_, err = bucket.Update(ctx, storage.BucketAttrsToUpdate{VersioningEnabled: true})
	tell("keep versions", err)
	tell("overwrite", write("both", big, 0))
	versions, count := bucket.Objects(ctx, &storage.Query{Prefix: "both", Versions: true}), 0
	for {
		version, err := versions.Next()
		if err != nil {
			break
		}
		count++
		_ = bucket.Object(version.Name).Generation(version.Generation).Delete(ctx)
	}
	err = nil
	if count != 2 {
		err = fmt.Errorf("%d versions", count)
	}
	tell("list versions", err)
	for _, name := range []string{"small.txt", "big", "odd", "copy.txt"} {
		attributes, _ := bucket.Object(name).Attrs(ctx)
		if attributes != nil {
			_ = bucket.Object(name).Generation(attributes.Generation).Delete(ctx)
		}
	}
	tell("delete all", bucket.Delete(ctx))
}
