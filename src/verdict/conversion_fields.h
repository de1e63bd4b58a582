// The fields of check-conversion's result (verdict/fields.h says how they are described).
#pragma once

#include "verdict/conversion_report.h"
#include "verdict/fields.h"

namespace crossval {

template <class V>
void describe(V& v, const CheckpointReport& checkpoint) {
  v.known("path", checkpoint.path, "the folder");
  v.known("model_type", checkpoint.model_type, "of config.json");
  v("files", checkpoint.files, "of weights");
  v("n_tensors", checkpoint.n_tensors, "in all files");
  v("n_bytes", checkpoint.n_bytes, "of their data");
}

template <class V>
void describe(V& v, const ConversionFault& fault) {
  v("kind", fault.kind, "key, tensor, missing, surplus, token, merge, special or template");
  v("where", fault.where, "the key or tensor of the GGUF, or what is compared");
  v.known("source", fault.source, "the key or tensor of the checkpoint");
  v.known("cause", fault.cause,
          "what was done wrong: undoing it makes the difference vanish; null: nothing known does");
  v.known("expected", fault.expected, "by the checkpoint");
  v.known("actual", fault.actual, "in the GGUF");
  v.known("explanation", fault.explanation, "in a sentence");
  v("n_wrong", fault.n_wrong, "weights beyond what their type's rounding makes there");
  v("n_elements", fault.n_elements, "weights of the tensor");
  v("row", fault.row, "of the first wrong one, counted over all experts");
  v("column", fault.column, "and its column");
}

template <class V>
void describe(V& v, const ConversionCount& count) {
  v("compared", count.compared, "held against the checkpoint");
  v("differing", count.differing, "that differ");
}

template <class V>
void describe(V& v, const ConversionReport& report) {
  describe_head(v, "crossval/conversion/1", status_name(report.status),
                static_cast<int>(report.status), finding_of(report), report.run);
  v("model", report.model, "");
  v("checkpoint", report.checkpoint, "");
  v("keys", report.keys, "metadata below the architecture's name, and what kind each layer is");
  v("tensors", report.tensors, "");
  v("tokens", report.tokens, "texts, types and scores of the vocabulary");
  v("merges", report.merges, "of byte pairs");
  v("specials", report.specials, "ids of special tokens, and whether they are added");
  v("templates", report.templates, "chat templates");
  v("faults", report.faults, "what differs");
  v("not_compared", report.not_compared, "what could not be, and why");
  v("notes", report.notes, "what differs and does not matter");
  v("n_weights", report.n_weights, "compared, each");
  v("bytes_read", report.bytes_read, "of both files' weights");
  v("weights_ms", report.weights_ms, "that took, in milliseconds");
  v("total_ms", report.total_ms, "of the command");
  v("error", report.error, "null where there is none");
}

}  // namespace crossval
