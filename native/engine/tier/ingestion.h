// Ingesting a table so that a failure leaves a store that opens.
//
// RocksDB takes a table in by a record in its manifest. If writing or syncing that record fails,
// the record may be there all the same; RocksDB deletes its copy of the table nevertheless, and the
// next opening finds a manifest that names a missing file. So what RocksDB deletes within a failed
// ingestion is left where it is: opening reads it if the manifest names it, and removes it if not.
//
// Thread safety: any number of ingestions at once, each in one thread.
#pragma once

#include <rocksdb/db.h>
#include <rocksdb/env.h>

#include <memory>
#include <string>

namespace thermocline {

// Files are `base`'s, but for the above. `base` outlives it.
std::unique_ptr<rocksdb::Env> NewIngestionEnv(rocksdb::Env* base);

// Gives the options such an Env, which every copy of them keeps alive: around what they have, which
// outlives them all.
void UseIngestionEnv(rocksdb::DBOptions* options);

// Takes in the table at `path`, which is moved; `options` say how.
// REQUIRES: the store was opened with an Env of NewIngestionEnv.
rocksdb::Status IngestTable(rocksdb::DB* db, rocksdb::ColumnFamilyHandle* family,
                            const std::string& path,
                            rocksdb::IngestExternalFileOptions options = {});

}  // namespace thermocline
