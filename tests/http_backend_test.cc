// Servers as backends, from the command line: as each of them answers, agreeing and not; and
// servers that lie, hang, are gone or send us away, of which each ends with a reason.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>

#include "fake_dialects.h"
#include "support/crossval_run.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace crossval::testing {
namespace {

constexpr const char* kPrompt = "The quick brown fox jumps over the lazy dog.";

class HttpBackend : public ::testing::Test {
 protected:
  void SetUp() override {
    write_tiny_model(model_);
    oracle_.emplace(model_);
  }

  CrossvalResult per_token(std::vector<std::string> args, const RunOptions& options = {}) const {
    args.insert(args.begin(), {"per-token", "--model", model_});
    return run_crossval(CROSSVAL_BIN, args, options);
  }
  CrossvalResult against(const FakeServer& server, std::vector<std::string> more = {},
                         const RunOptions& options = {}) const {
    if (std::ranges::find(more, "--max-tokens") == more.end()) {
      more.insert(more.end(), {"--max-tokens", "2"});
    }
    more.insert(more.begin(),
                {"--backend", server.url(), "--prompt", kPrompt, "--prompt-template", "raw"});
    return per_token(more, options);
  }
  static std::string error_code(const CrossvalResult& result) {
    const json& error = result.json()["error"];
    return error.is_null() ? "" : error["code"].get<std::string>();
  }

  TempDir dir_;
  std::string model_ = dir_.file("tiny.gguf");
  std::optional<Oracle> oracle_;
};

struct Kind {
  const char* name;
  void (*add)(FakeServer&, Oracle&);
  int n_common;  // of the most likely tokens that it gives
  bool tokenizes;
};

void add_openai_of_ids(FakeServer& s, Oracle& o) { add_openai(s, o, {true, true}); }
void add_openai_of_texts(FakeServer& s, Oracle& o) { add_openai(s, o, {false, true}); }
void add_openai_without_echo(FakeServer& s, Oracle& o) { add_openai(s, o, {false, false}); }

constexpr Kind kKinds[] = {
    {"llama-server", add_llama_server, 100, true},
    {"vLLM", add_vllm, 20, true},
    {"SGLang", add_sglang, 100, false},
    {"Ollama", add_ollama, 20, false},
    {"TGI", add_tgi, 5, true},
    {"OpenAI-compatible server", add_openai_of_ids, 5, false},
    {"OpenAI-compatible server", add_openai_of_texts, 5, false},
    {"OpenAI-compatible server", add_openai_without_echo, 5, false},
};

TEST_F(HttpBackend, each_server_agrees_with_native_by_its_top_alone) {
  for (const Kind& kind : kKinds) {
    SCOPED_TRACE(kind.name);
    FakeServer server;
    kind.add(server, *oracle_);
    server.start();
    // What a tiny model would decode are halves of characters, which texts cannot hold.
    const CrossvalResult result = against(server, {"--max-tokens", "0"});
    ASSERT_EQ(result.run.exit_code, 0) << result.run.out << result.run.err;
    const json& out = result.json();
    EXPECT_EQ(out["backend"]["name"], kind.name);
    EXPECT_TRUE(out["tokens"]["match"].get<bool>());
    EXPECT_EQ(result.run.err.find("no tokenizer") == std::string::npos, kind.tokenizes);
    EXPECT_FALSE(out["backend"]["model"].is_null());
    ASSERT_GE(out["positions"].size(), 10U);
    for (const json& position : out["positions"]) {
      EXPECT_LT(position["top_rms"].get<double>(), 1e-4);
      EXPECT_LE(position["n_common"].get<int>(), kind.n_common);
      EXPECT_TRUE(position["top1"]["match"].get<bool>());
      EXPECT_TRUE(position["cosine"].is_null());  // it would take whole rows
    }
  }
}

TEST_F(HttpBackend, each_server_with_another_model_is_found) {
  const std::string other = dir_.file("other.gguf");
  write_tiny_model(other, {.rope_freq_base = 200});
  Oracle wrong(other);
  for (const Kind& kind : kKinds) {
    SCOPED_TRACE(kind.name);
    FakeServer server;
    kind.add(server, wrong);
    server.start();
    const CrossvalResult result = against(server, {"--max-tokens", "0"});
    EXPECT_EQ(result.run.exit_code, 1) << result.run.out << result.run.err;
    // The first id sees no other: its row is the same.
    EXPECT_EQ(result.json()["positions"][0]["verdict"], "ok");
  }
}

TEST_F(HttpBackend, ids_of_another_tokenizer_are_a_mismatch) {
  FakeServer server;
  server.get("/props", {{"default_generation_settings", json::object()}});
  server.get("/v1/models", {{"data", json::array()}});
  server.post("/tokenize", [&](const json& request) {
    auto ids = oracle_->tokenize(request.at("content"));
    if (ids.size() > 3) ids[3] = ids[3] == 40 ? 41 : 40;
    return json{{"tokens", ids}};
  });
  server.start();
  const CrossvalResult result = against(server);
  EXPECT_EQ(result.run.exit_code, 2) << result.run.out;
  EXPECT_EQ(result.json()["tokens"]["first_mismatch"]["index"], 3);
}

TEST_F(HttpBackend, one_request_gives_all_of_a_prompt_where_the_server_can) {
  FakeServer server;
  add_vllm(server, *oracle_);
  server.start();
  ASSERT_EQ(against(server).run.exit_code, 0);
  EXPECT_EQ(server.count("POST /v1/completions"), 1 + 1 + 2);  // 100 refused, 20 taken, 2 decoded
}

TEST_F(HttpBackend, only_the_positions_that_are_compared_are_asked_for) {
  FakeServer server;
  add_llama_server(server, *oracle_);
  server.start();
  ASSERT_EQ(against(server, {"--positions", "3"}).run.exit_code, 0);
  EXPECT_EQ(server.count("POST /completion"), 3);
}

TEST_F(HttpBackend, the_key_comes_from_the_environment_and_is_said_nowhere) {
  FakeServer server;
  add_llama_facts(server, *oracle_);
  server.routes().Post("/completion", [](const httplib::Request& request, httplib::Response& out) {
    out.status = 400;  // as OpenAI does: the key in the message
    out.set_content(
        json{{"error", {{"message", request.get_header_value("Authorization")}}}}.dump(),
        "application/json");
  });
  server.start();
  const std::string receipt = dir_.file("receipt.json");
  const CrossvalResult result = against(server, {"--verbose", "--receipt", receipt},
                                        {.env = {{"CROSSVAL_HTTP_KEY", "sesame"}}});
  EXPECT_EQ(server.key(), "Bearer sesame");
  EXPECT_EQ(result.run.exit_code, 4);
  EXPECT_EQ((result.run.out + result.run.err).find("sesame"), std::string::npos);
  ASSERT_TRUE(std::filesystem::exists(receipt));
  EXPECT_EQ(read_text(receipt).find("sesame"), std::string::npos);
}

TEST_F(HttpBackend, addresses_with_secrets_are_refused_and_not_repeated) {
  const CrossvalResult result =
      per_token({"--backend", "http://me:sesame@127.0.0.1:9", "--prompt", "x"});
  EXPECT_EQ(result.run.exit_code, 3);
  EXPECT_EQ(error_code(result), "secret_in_url");
  EXPECT_EQ((result.run.out + result.run.err).find("sesame"), std::string::npos);
}

TEST_F(HttpBackend, what_needs_more_than_a_top_is_refused_with_a_reason) {
  FakeServer server;
  add_llama_server(server, *oracle_);
  server.start();
  const auto code_of = [&](std::vector<std::string> args) {
    const CrossvalResult result = run_crossval(CROSSVAL_BIN, args);
    EXPECT_EQ(result.run.exit_code, 3) << args.front();
    return result.objects.empty() ? result.run.err : error_code(result);
  };
  EXPECT_EQ(code_of({"trace", "--model", model_, "--backend", server.url(), "--prompt", "x"}),
            "no_taps");
  EXPECT_EQ(
      code_of({"trace", "--self", "--model", model_, "--backend", server.url(), "--prompt", "x"}),
      "no_taps");
  EXPECT_EQ(code_of({"run", "--model", model_, "--engine", server.url(), "--prompt", "x"}),
            "no_whole_rows");
  EXPECT_EQ(code_of({"per-token", "--model", model_, "--backend", server.url(), "--prompt", "x",
                     "--save-trace", dir_.file("t")}),
            "no_whole_rows");
  EXPECT_EQ(code_of({"per-token", "--model", model_, "--backend", server.url(), "--prompt", "x",
                     "--metrics", "cosine"}),
            "metrics_do_not_fit");
}

TEST_F(HttpBackend, as_the_engine_and_on_both_sides) {
  FakeServer server, other;
  add_llama_server(server, *oracle_);
  add_vllm(other, *oracle_);
  server.start();
  other.start();
  for (const std::string& backend : {std::string("native"), other.url()}) {
    const CrossvalResult result = per_token({"--engine", server.url(), "--backend", backend,
                                             "--prompt", kPrompt, "--prompt-template", "raw"});
    EXPECT_EQ(result.run.exit_code, 0) << backend << result.run.out;
    EXPECT_LT(result.json()["summary"]["max_top_rms"].get<double>(), 1e-4);
  }
}

TEST_F(HttpBackend, a_vote_of_servers_names_the_one_that_is_wrong) {
  const std::string edited = dir_.file("other.gguf");
  write_tiny_model(edited, {.rope_freq_base = 200});
  Oracle wrong(edited);
  FakeServer right, other;
  add_llama_server(right, *oracle_);
  add_vllm(other, wrong);
  right.start();
  other.start();
  const CrossvalResult result = per_token({"--backend", right.url() + "," + other.url(), "--prompt",
                                           kPrompt, "--prompt-template", "raw"});
  EXPECT_EQ(result.run.exit_code, 1) << result.run.out << result.run.err;
  EXPECT_EQ(result.json()["vote"]["outlier"], "vLLM");
}

// A lie: what the server answers to the request of a position, and what comes of it.
struct Lie {
  const char* name;
  std::function<void(const httplib::Request&, httplib::Response&, Oracle&)> answer;
  int exit_code;
  const char* code;
};

// An honest answer, changed.
template <class Change>
auto changed(const Change& change) {
  return [change](const httplib::Request& request, httplib::Response& response, Oracle& oracle) {
    json answer = llama_completion(oracle, json::parse(request.body));
    change(answer, answer["completion_probabilities"][0]["top_logprobs"]);
    response.set_content(answer.dump(), "application/json");
  };
}

auto said(int status, const std::string& text, const char* type = "application/json") {
  return [=](const httplib::Request&, httplib::Response& response, Oracle&) {
    response.status = status;
    response.set_content(text, type);
  };
}

std::vector<Lie> lies() {
  using Response = httplib::Response;
  const auto endless = [](const httplib::Request&, Response& response, Oracle&) {
    response.set_chunked_content_provider("application/json", [](size_t, httplib::DataSink& sink) {
      static const std::string chunk(1 << 20, ' ');
      return sink.write(chunk.data(), chunk.size());
    });
  };
  const auto drip = [](const httplib::Request&, Response& response, Oracle&) {
    response.set_chunked_content_provider("application/json", [](size_t, httplib::DataSink& sink) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      return sink.write("[", 1);
    });
  };
  const auto away = [](const httplib::Request&, Response& response, Oracle&) {
    response.set_redirect("http://127.0.0.1:9/elsewhere");
  };
  return {
      {"redirect", away, 3, "http_redirect"},
      {"key wanted", said(401, "{}"), 3, "http_key"},
      {"status 500", said(500, R"({"error": "out of memory"})"), 4, "http_status"},
      {"status 404", said(404, "not found", "text/plain"), 4, "http_status"},
      {"HTML", said(200, "<html><body>It works!</body></html>", "text/html"), 4, "http_status"},
      {"half of JSON", said(200, R"({"completion_probabilities": [{"id": 1,)"), 4, "http_status"},
      {"nothing", said(200, ""), 4, "http_status"},
      {"a list", said(200, "[]"), 4, "http_nonsense"},
      {"deep nesting", said(200, std::string(100'000, '[') + std::string(100'000, ']')), 4,
       "http_status"},
      {"no end", endless, 4, "http_failed"},
      {"a slow drip", drip, 4, "http_failed"},
      {"no probabilities", changed([](json& a, json&) { a.erase("completion_probabilities"); }), 4,
       "http_nonsense"},
      {"null for them", changed([](json& a, json&) { a["completion_probabilities"] = nullptr; }), 4,
       "http_nonsense"},
      {"an empty list", changed([](json& a, json&) { a["completion_probabilities"].clear(); }), 4,
       "http_nonsense"},
      {"an empty top", changed([](json&, json& top) { top = json::array(); }), 4, "bad_top_row"},
      {"an id beyond the vocabulary", changed([](json&, json& top) { top[0]["id"] = 99'999; }), 4,
       "bad_top_row"},
      {"an id below 0", changed([](json&, json& top) { top[0]["id"] = -1; }), 4, "http_nonsense"},
      {"an id of 2^32", changed([](json&, json& top) { top[0]["id"] = 4'294'967'296; }), 4,
       "http_nonsense"},
      {"an id that is text", changed([](json&, json& top) { top[0]["id"] = "1"; }), 4,
       "http_nonsense"},
      {"an id twice", changed([](json&, json& top) { top[1]["id"] = top[0]["id"]; }), 4,
       "bad_top_row"},
      {"NaN", said(200, R"({"completion_probabilities": [{"top_logprobs": [{"id": 1,
       "logprob": NaN}]}]})"),
       4, "http_status"},
      {"null for a number", changed([](json&, json& top) { top[0]["logprob"] = nullptr; }), 4,
       "http_nonsense"},
      {"a probability above 1", changed([](json&, json& top) { top[0]["logprob"] = 2; }), 4,
       "bad_top_row"},
      {"probabilities above 1", changed([](json&, json& top) {
         for (json& one : top) one["logprob"] = -0.5;
       }),
       4, "bad_top_row"},
      {"a huge number", changed([](json&, json& top) { top[0]["logprob"] = 1e300; }), 4,
       "bad_top_row"},
      {"other ids read", changed([](json& a, json&) { a["tokens_evaluated"] = 1'000; }), 4,
       "http_nonsense"},
      {"the prompt cut", changed([](json& a, json&) { a["truncated"] = true; }), 3,
       "context_too_small"},
  };
}

TEST_F(HttpBackend, a_server_that_lies_ends_with_a_reason) {
  for (const Lie& lie : lies()) {
    SCOPED_TRACE(lie.name);
    FakeServer server;
    add_llama_facts(server, *oracle_);
    server.routes().Post("/completion", [&](const httplib::Request& in, httplib::Response& out) {
      lie.answer(in, out, *oracle_);
    });
    server.start();
    const CrossvalResult result = against(server, {"--backend-opt", "timeout=2"});
    EXPECT_EQ(result.run.exit_code, lie.exit_code) << result.run.out;
    ASSERT_EQ(error_code(result), lie.code) << result.run.out;
    EXPECT_FALSE(result.json()["error"]["fix"].get<std::string>().empty());
    EXPECT_LT(result.run.wall_ms, 20'000);
  }
}

TEST_F(HttpBackend, a_lie_about_what_it_is_ends_with_a_reason) {
  const auto code_of = [&](const std::function<void(FakeServer&)>& add) {
    FakeServer server;
    add(server);
    server.start();
    const CrossvalResult result = against(server);
    EXPECT_GE(result.run.exit_code, 3);
    return error_code(result);
  };
  EXPECT_EQ(code_of([](FakeServer&) {}), "unknown_server");
  EXPECT_EQ(code_of([](FakeServer& server) {
              server.routes().Get(".*", [](const httplib::Request&, httplib::Response& response) {
                response.set_content("<html></html>", "text/html");
              });
            }),
            "unknown_server");
  EXPECT_EQ(code_of([](FakeServer& server) {
              server.get("/v1/models", {{"data", json::array({{{"id", "a"}}, {{"id", "b"}}})}});
            }),
            "which_model");
  EXPECT_EQ(code_of([](FakeServer& server) {
              server.get("/v1/models", {{"data", json::array()}});
            }),
            "no_model");
  EXPECT_EQ(code_of([](FakeServer& server) {
              server.get("/props", {{"default_generation_settings", 1}});
              server.post("/tokenize", [](const json&) { return json{{"tokens", {-5}}}; });
            }),
            "http_nonsense");
}

TEST_F(HttpBackend, a_server_that_is_not_there_or_goes_away) {
  const CrossvalResult none = per_token({"--backend", "http://127.0.0.1:9", "--prompt", "x"});
  EXPECT_EQ(none.run.exit_code, 4);
  EXPECT_EQ(error_code(none), "http_failed");
  EXPECT_LT(none.run.wall_ms, 20'000);

  FakeServer server;
  std::atomic<int> n = 0;
  add_llama_facts(server, *oracle_);
  server.post("/completion", [&](const json& request) {
    if (++n == 3) server.routes().stop();
    return llama_completion(*oracle_, request);
  });
  server.start();
  const CrossvalResult gone = against(server);
  EXPECT_EQ(gone.run.exit_code, 4) << gone.run.out;
  EXPECT_EQ(error_code(gone), "http_failed");
}

TEST_F(HttpBackend, a_server_that_is_loading_its_model_is_waited_for) {
  FakeServer server;
  std::atomic<int> n = 0;
  server.get("/v1/models", {{"data", json::array()}});
  server.routes().Get("/props", [&](const httplib::Request&, httplib::Response& response) {
    if (++n < 3) {
      response.status = 503;
      response.set_content(R"({"error": {"message": "Loading model"}})", "application/json");
    } else {
      response.set_content(R"({"default_generation_settings": {}})", "application/json");
    }
  });
  server.post("/tokenize", [&](const json& request) {
    return json{{"tokens", oracle_->tokenize(request.at("content"))}};
  });
  server.post("/completion", [&](const json& r) { return llama_completion(*oracle_, r); });
  server.start();
  EXPECT_EQ(against(server).run.exit_code, 0);
  EXPECT_EQ(n, 3);
}

TEST_F(HttpBackend, a_certificate_that_nobody_trusts_is_refused) {
  const std::string key = dir_.file("key.pem"), certificate = dir_.file("certificate.pem");
  const RunResult made = run_program(
      {"openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost",
       "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate});
  if (made.exit_code != 0) GTEST_SKIP() << "needs openssl: " << made.err;
  httplib::SSLServer server(certificate.c_str(), key.c_str());
  server.Get("/v1/models", [](const httplib::Request&, httplib::Response& response) {
    response.set_content(R"({"data": [{"id": "a"}, {"id": "b"}]})", "application/json");
  });
  const int port = server.bind_to_any_port("127.0.0.1");
  std::thread thread([&] { server.listen_after_bind(); });
  while (!server.is_running()) std::this_thread::yield();
  const std::vector<std::string> args = {"--backend", "https://localhost:" + std::to_string(port),
                                         "--prompt", "x"};
  EXPECT_EQ(error_code(per_token(args)), "http_failed");
  // Trusted, it is spoken to.
  EXPECT_EQ(error_code(per_token(args, {.env = {{"SSL_CERT_FILE", certificate}}})), "which_model");
  server.stop();
  thread.join();
}

TEST_F(HttpBackend, settings_are_checked) {
  FakeServer server;
  add_llama_server(server, *oracle_);
  server.start();
  for (const char* bad : {"top=0", "top=x", "timeout=-1", "ubatch=4"}) {
    EXPECT_EQ(against(server, {"--backend-opt", bad}).run.exit_code, 3) << bad;
  }
  const CrossvalResult result =
      against(server, {"--backend-opt", "top=7", "--backend-opt", "kv_type=f16"});
  EXPECT_EQ(result.run.exit_code, 0) << result.run.out;
  EXPECT_EQ(result.json()["positions"][0]["n_common"], 7);
  EXPECT_EQ(result.json()["engine"]["settings"]["kv_type_k"], "f16");
}

}  // namespace
}  // namespace crossval::testing
