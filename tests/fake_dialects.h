// Servers as their own documentation says that they answer: the same sources that the files of
// workers/http name.
#pragma once

#include <fmt/format.h>

#include "fake_server.h"

namespace crossval::testing {

using Ids = std::vector<TokenId>;

inline json entries_of(const TopRow& row, const Oracle& oracle) {
  json list = json::array();
  for (const TopEntry& entry : row) {
    json bytes = json::array();
    for (const char c : oracle.piece(entry.token)) bytes.push_back(static_cast<unsigned char>(c));
    list.push_back(
        {{"id", entry.token}, {"token", "?"}, {"bytes", bytes}, {"logprob", entry.logit}});
  }
  return list;
}

// llama.cpp, tools/server/README.md.
inline json llama_completion(Oracle& oracle, const json& request) {
  const Ids ids = request.at("prompt").get<Ids>();
  const json top = entries_of(oracle.last_row(ids, request.at("n_probs")), oracle);
  json chosen = top.at(0);
  chosen["top_logprobs"] = top;
  return {{"content", "a"},
          {"tokens_evaluated", ids.size()},
          {"truncated", false},
          {"completion_probabilities", json::array({chosen})}};
}
inline void add_llama_facts(FakeServer& server, Oracle& oracle) {
  server.get("/props", {{"default_generation_settings", {{"n_ctx", 512}}},
                        {"model_path", "/models/tiny.gguf"},
                        {"build_info", "b1-fake"}});
  server.get(
      "/v1/models",
      {{"data", json::array({{{"id", "tiny"}, {"meta", {{"n_vocab", oracle.n_vocab()}}}}})}});
  server.post("/tokenize", [&](const json& request) {
    return json{{"tokens", oracle.tokenize(request.at("content"))}};
  });
}
inline void add_llama_server(FakeServer& server, Oracle& oracle) {
  add_llama_facts(server, oracle);
  server.post("/completion", [&](const json& r) { return llama_completion(oracle, r); });
}

// docs.vllm.ai, "OpenAI-Compatible Server": --max-logprobs is 20 unless told otherwise.
inline void add_vllm(FakeServer& server, Oracle& oracle) {
  server.get("/version", {{"version", "0.11.0"}});
  server.get("/v1/models",
             {{"data", json::array({{{"id", "org/tiny"}, {"owned_by", "vllm"}, {"root", "x"}}})}});
  server.post("/tokenize", [&](const json& request) {
    return json{{"count", 1}, {"tokens", oracle.tokenize(request.at("prompt"))}};
  });
  server.routes().Post("/v1/completions", [&](const httplib::Request& request,
                                              httplib::Response& response) {
    const json body = json::parse(request.body);
    const int k = body.at("prompt_logprobs");
    if (k > 20) {
      response.status = 400;
      response.set_content(R"({"error": {"message": "max_logprobs is 20"}})", "application/json");
      return;
    }
    const Ids ids = body.at("prompt").get<Ids>();
    const auto rows = oracle.rows(ids, k), more = oracle.rows(ids, oracle.n_vocab());
    json prompt = json::array({nullptr});
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      json& row = prompt.emplace_back(json::object());
      for (size_t n = 0; n < more[i].size(); ++n) {
        // The k likeliest, and the id that comes, wherever it stands.
        if (n >= static_cast<size_t>(k) && more[i][n].token != ids[i + 1]) continue;
        row[std::to_string(more[i][n].token)] = {
            {"logprob", more[i][n].logit}, {"rank", n + 1}, {"decoded_token", "?"}};
      }
    }
    json last = json::object();
    for (const TopEntry& entry : rows.back()) {
      last["token_id:" + std::to_string(entry.token)] = entry.logit;
    }
    response.set_content(
        json{{"choices", json::array({{{"index", 0},
                                       {"text", "?"},
                                       {"logprobs", {{"top_logprobs", json::array({last})}}},
                                       {"prompt_logprobs", prompt}}})}}
            .dump(),
        "application/json");
  });
}

// docs.sglang.io, "Native APIs"; of before it had /tokenize.
inline void add_sglang(FakeServer& server, Oracle& oracle) {
  server.get("/get_model_info", {{"model_path", "org/tiny"}, {"is_generation", true}});
  server.post("/generate", [&](const json& request) {
    const Ids ids = request.at("input_ids").get<Ids>();
    json all = json::array({nullptr});
    for (const TopRow& row : oracle.rows(ids, request.at("top_logprobs_num"))) {
      json& triples = all.emplace_back(json::array());
      for (const TopEntry& entry : row) triples.push_back({entry.logit, entry.token, nullptr});
    }
    json last = json::array({all.back()});
    all.erase(all.size() - 1);
    return json{{"text", "?"},
                {"meta_info", {{"input_top_logprobs", all}, {"output_top_logprobs", last}}}};
  });
}

// docs.ollama.com: no ids, at most 20 tokens.
inline void add_ollama(FakeServer& server, Oracle& oracle) {
  server.get("/api/version", {{"version", "0.13.0"}});
  server.get("/api/tags", {{"models", json::array({{{"name", "tiny:latest"}}})}});
  server.post("/api/generate", [&](const json& request) {
    const Ids ids = oracle.tokenize(request.at("prompt"));
    const json top = entries_of(oracle.last_row(ids, request.at("top_logprobs")), oracle);
    return json{
        {"response", "?"},
        {"prompt_eval_count", ids.size()},
        {"logprobs", json::array({{{"token", "?"}, {"logprob", 0}, {"top_logprobs", top}}})}};
  });
}

// huggingface.co/docs/text-generation-inference, its openapi.json.
inline void add_tgi(FakeServer& server, Oracle& oracle) {
  server.get("/info", {{"model_id", "org/tiny"}, {"version", "3.3.0"}});
  const auto ids_of = [&](const Ids& ids) {
    json list = json::array();
    for (const TokenId id : ids) list.push_back({{"id", id}, {"text", "?"}, {"logprob", nullptr}});
    return list;
  };
  server.post("/tokenize", [&, ids_of](const json& request) {
    return ids_of(oracle.tokenize(request["inputs"]));
  });
  server.post("/generate", [&, ids_of](const json& request) {
    const Ids ids = oracle.tokenize(request.at("inputs"));
    const TopRow row = oracle.last_row(ids, request.at("parameters").at("top_n_tokens"));
    return json{
        {"generated_text", "?"},
        {"details",
         {{"prefill", ids_of(ids)}, {"top_tokens", json::array({entries_of(row, oracle)})}}}};
  });
}

// As OpenAI writes a token that is no whole character.
inline std::string shown(const std::string& piece) {
  if (std::ranges::all_of(piece, [](char c) { return static_cast<unsigned char>(c) < 0x80; })) {
    return piece;
  }
  std::string text = "bytes:";
  for (const char c : piece) text += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  return text;
}

// platform.openai.com, completions. What servers do of it differs.
struct OpenAiKind {
  bool takes_ids = true, has_echo = true;
};
inline void add_openai(FakeServer& server, Oracle& oracle, OpenAiKind kind) {
  server.get("/v1/models", {{"data", json::array({{{"id", "tiny"}, {"owned_by", "me"}}})}});
  server.routes().Post("/v1/completions", [&oracle, kind](const httplib::Request& request,
                                                          httplib::Response& response) {
    const json body = json::parse(request.body);
    const json& prompt = body.at("prompt");
    if (body.at("logprobs") > 5 || (prompt.is_array() && !kind.takes_ids)) {
      response.status = 400;
      response.set_content(R"({"error": {"message": "no"}})", "application/json");
      return;
    }
    const Ids ids = prompt.is_array() ? prompt.get<Ids>() : oracle.tokenize(prompt);
    json tops = json::array();
    const auto add = [&](const TopRow& row) {
      json& object = tops.emplace_back(json::object());
      for (const TopEntry& entry : row) object[shown(oracle.piece(entry.token))] = entry.logit;
    };
    const bool echoes = kind.has_echo && body.value("echo", false);
    if (echoes) tops.push_back(nullptr);
    const auto rows = oracle.rows(ids, body.at("logprobs"));
    for (size_t i = echoes ? 0 : rows.size() - 1; i < rows.size(); ++i) add(rows[i]);
    response.set_content(json{{"choices", json::array({{{"logprobs", {{"top_logprobs", tops}}}}})},
                              {"usage", {{"prompt_tokens", ids.size()}}}}
                             .dump(-1, ' ', false, json::error_handler_t::replace),
                         "application/json");
  });
}

}  // namespace crossval::testing
