#include "unit/guardrail/guard_test.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPECT_TYPE(text, type)                                                                    \
    cr_expect_str_eq(guard_first_type(text), type, "in \"%s\": %s", text, guard_first_type(text))

Test(detectors, email_forms_are_found) {
    EXPECT_TYPE("write to bob.smith+tag@mail.example.co.uk today", "EMAIL_ADDRESS");
    EXPECT_TYPE("to=ryilmaz@firma-nord.de status=200", "EMAIL_ADDRESS");
    EXPECT_TYPE("<yusuf@xn--bcher-kva.example>", "EMAIL_ADDRESS");
    EXPECT_TYPE("m\xc3\xbcller@b\xc3\xbc\x63her.de", "EMAIL_ADDRESS");
}

Test(detectors, email_look_alikes_are_not_found) {
    EXPECT_TYPE("see @alice and a@b, x@1.2.3.4", "");
    EXPECT_TYPE("git@github.com:org/repo.git", "");
    EXPECT_TYPE("icon@2x.png", "");
    EXPECT_TYPE("https://user:secret@host.example.com/", "");
    EXPECT_TYPE("npm install @scope/package.name", "");
    EXPECT_TYPE("bob..smith@example.com", "");
}

Test(detectors, cards_of_all_issuers_and_groupings_are_found) {
    EXPECT_TYPE("4111 1111 1111 1111", "CREDIT_CARD");
    EXPECT_TYPE("pay with 5500-0000-0000-0004", "CREDIT_CARD");
    EXPECT_TYPE("2221796968361396", "CREDIT_CARD");
    EXPECT_TYPE("3782 822463 10005", "CREDIT_CARD");
    EXPECT_TYPE("36844750991019", "CREDIT_CARD");
    EXPECT_TYPE("6011 5206 1717 3597", "CREDIT_CARD");
    EXPECT_TYPE("3528982247218114", "CREDIT_CARD");
    EXPECT_TYPE("6245-1556-8295-5061", "CREDIT_CARD");
    EXPECT_TYPE("4111 1111 1111 1111 123", "CREDIT_CARD");
}

Test(detectors, cards_with_broken_luhn_or_unknown_issuer_are_not_found) {
    EXPECT_TYPE("4111 1111 1111 1112", "");
    EXPECT_TYPE("9111111111111111", "");
    EXPECT_TYPE("x4111111111111111", "");
    EXPECT_TYPE("IMEI: 377651925277787", "");
    EXPECT_TYPE("Thai ID 6105054945481", "");
}

Test(detectors, digits_of_other_scripts_are_read) {
    /* 4111 1111 1111 1111 in full width. */
    EXPECT_TYPE(
        "\xef\xbc\x94\xef\xbc\x91\xef\xbc\x91\xef\xbc\x91 \xef\xbc\x91\xef\xbc\x91\xef\xbc\x91"
        "\xef\xbc\x91 \xef\xbc\x91\xef\xbc\x91\xef\xbc\x91\xef\xbc\x91 \xef\xbc\x91\xef\xbc\x91"
        "\xef\xbc\x91\xef\xbc\x91",
        "CREDIT_CARD");
}

Test(detectors, iban_needs_the_length_of_its_country_and_mod_97) {
    EXPECT_TYPE("DE89 3704 0044 0532 0130 00", "IBAN_CODE");
    EXPECT_TYPE("GB29NWBK60161331926819", "IBAN_CODE");
    EXPECT_TYPE("TR83 4306 6819 5024 2376 8764 29 over chat", "IBAN_CODE");
    EXPECT_TYPE("DE89 3704 0044 0532 0130 01", "");
    EXPECT_TYPE("DE89 3704 0044 0532 0130 0", "");
    EXPECT_TYPE("XX89 3704 0044 0532 0130 00", "");
}

Test(detectors, ssn_follows_the_rules_of_the_issuing_agency) {
    EXPECT_TYPE("541-58-0118", "US_SSN");
    EXPECT_TYPE("SSN 101 67 2650.", "US_SSN");
    EXPECT_TYPE("my ssn: 541580118", "US_SSN");
    EXPECT_TYPE("541580118", "");
    EXPECT_TYPE("000-12-3456 666-12-3456 900-12-3456 123-00-4567 123-45-0000", "");
    EXPECT_TYPE("078-05-1120", "");
    EXPECT_TYPE("2021-541-58-0118", "");
}

Test(detectors, ip_addresses_are_found_without_loopback_and_versions) {
    EXPECT_TYPE("host 214.27.74.136 is down", "IP_ADDRESS");
    EXPECT_TYPE("2001:db8::ad15:edae", "IP_ADDRESS");
    EXPECT_TYPE("[b5dd:8a8b:ce03:c1c9:6335:199f:79eb:733e]:443", "IP_ADDRESS");
    EXPECT_TYPE("::ffff:192.0.2.128", "IP_ADDRESS");
    EXPECT_TYPE("127.0.0.1 0.0.0.0 ::1 255.255.255.0", "");
    EXPECT_TYPE("version 10.4.30.2", "");
    EXPECT_TYPE("at 12:30:45 std::vector a::b 1.2.3", "");
    EXPECT_TYPE("300.1.2.3 and 1.2.3.4.5", "");
    EXPECT_TYPE("args[0::2], args[1::2], dead::beef", "");
}

Test(detectors, phone_numbers_of_many_forms_are_found) {
    EXPECT_TYPE("+55 11 94962-1016", "PHONE_NUMBER");
    EXPECT_TYPE("+1 (391) 570-3785", "PHONE_NUMBER");
    EXPECT_TYPE("+44 (0)20 7946 0958", "PHONE_NUMBER");
    EXPECT_TYPE("(212) 555-0187", "PHONE_NUMBER");
    EXPECT_TYPE("212-555-0187", "PHONE_NUMBER");
    EXPECT_TYPE("07104 570692", "PHONE_NUMBER");
    EXPECT_TYPE("01 42 68 53 00", "PHONE_NUMBER");
    EXPECT_TYPE("call 2125550187", "PHONE_NUMBER");
}

Test(detectors, numbers_that_are_no_phone_numbers_are_not_found) {
    EXPECT_TYPE("timestamp 1735778072 epoch", "");
    EXPECT_TYPE("+999 12 345 678", "");
    EXPECT_TYPE("2024-01-15 10:30", "");
    EXPECT_TYPE("NHS number: 687 337 2420", "");
    EXPECT_TYPE("112-055-0187", "");
    EXPECT_TYPE("contact: Copyright 2006-2022 by the authors", "");
}

Test(detectors, a_span_covers_the_whole_phone_number) {
    aicp_guard_profile *profile = guard_profile("{}");
    aicp_guard_result *result = guard_result();
    guard_scan(profile, "tel (+44) 20 7946 0958 or +1 (391) 570-3785!", result);
    guard_expect_text(result, "tel <PHONE_NUMBER> or <PHONE_NUMBER>!");
    aicp_guard_result_free(result);
    aicp_guard_profile_free(profile);
}

static void expect_secret(const char *prefix, size_t len, const char *type) {
    char token[512];
    char text[600];
    guard_token(prefix, len, token);
    snprintf(text, sizeof text, "key = \"%s\";", token);
    cr_expect_eq(guard_count(text, type), 1, "%s... is no %s", prefix, type);
    snprintf(text, sizeof text, "key = \"%.*sexample%s\";", (int)strlen(prefix), prefix, token);
    cr_expect_eq(guard_count(text, type), 0, "%s example is a %s", prefix, type);
}

Test(detectors, tokens_of_ten_providers_are_found) {
    expect_secret(
        "sk-"
        "proj-",
        156,
        "OPENAI_API_KEY");
    expect_secret(
        "sk-"
        "ant-"
        "api03-",
        95,
        "ANTHROPIC_API_KEY");
    expect_secret(
        "gh"
        "p_",
        36,
        "GITHUB_TOKEN");
    expect_secret(
        "gh"
        "s_",
        36,
        "GITHUB_TOKEN");
    expect_secret(
        "AI"
        "za",
        35,
        "GOOGLE_API_KEY");
    expect_secret(
        "xo"
        "xb-387439251985-793958-",
        24,
        "SLACK_TOKEN");
    expect_secret(
        "sk_"
        "live_",
        24,
        "STRIPE_KEY");
    expect_secret(
        "rk_"
        "live_",
        24,
        "STRIPE_KEY");
    expect_secret(
        "gl"
        "pat-",
        20,
        "GITLAB_TOKEN");
    expect_secret(
        "np"
        "m_",
        36,
        "NPM_TOKEN");
    expect_secret(
        "h"
        "f_",
        34,
        "HUGGINGFACE_TOKEN");
}

Test(detectors, aws_key_pairs_are_found) {
    char secret[64];
    char text[200];
    guard_token("", 40, secret);
    snprintf(text, sizeof text, "aws_secret_access_key = %s", secret);
    cr_expect_eq(guard_count(text, "AWS_SECRET_KEY"), 1);
    snprintf(text, sizeof text, "commit %s", secret);
    cr_expect_eq(guard_count(text, "AWS_SECRET_KEY"), 0);
    snprintf(
        text,
        sizeof text,
        "id: %s%s",
        "AK"
        "IA",
        "7BVSIFIUCUQTKIZ3");
    cr_expect_eq(guard_count(text, "AWS_ACCESS_KEY"), 1);
    snprintf(
        text,
        sizeof text,
        "id: %s%s",
        "AK"
        "IA",
        "XXXXXXXXXXXXXXXX");
    cr_expect_eq(guard_count(text, "AWS_ACCESS_KEY"), 0);
}

Test(detectors, github_checksum_makes_the_score_one) {
    /* The tail is the CRC-32 of thirty characters in base 62. */
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    char body[64];
    guard_token("", 30, body);
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < 30; i++) {
        crc ^= (unsigned char)body[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
        }
    }
    crc = ~crc;
    for (size_t i = 0; i < 6; i++) {
        body[35 - i] = digits[crc % 62];
        crc /= 62;
    }
    body[36] = '\0';
    char text[80];
    aicp_guard_profile *profile = guard_profile("{}");
    aicp_guard_result *result = guard_result();
    snprintf(
        text,
        sizeof text,
        "gh"
        "p_%s",
        body);
    guard_scan(profile, text, result);
    cr_assert_eq(aicp_guard_result_finding_count(result), 1);
    cr_expect_float_eq(aicp_guard_result_finding(result, 0)->score, 1.0, 1e-9);
    cr_expect_eq(aicp_guard_result_finding(result, 0)->validated, 1);
    text[39] = text[39] == 'a' ? 'b' : 'a';
    guard_scan(profile, text, result);
    cr_assert_eq(aicp_guard_result_finding_count(result), 1);
    cr_expect_eq(aicp_guard_result_finding(result, 0)->validated, 0);
    aicp_guard_result_free(result);
    aicp_guard_profile_free(profile);
}

Test(detectors, jwt_needs_two_json_objects_and_an_algorithm) {
    const char *header = "eyJ"
                         "hbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";
    const char *claims = "eyJ"
                         "zdWIiOiIxMjM0NTY3ODkwIn0";
    char text[200];
    snprintf(text, sizeof text, "Bearer %s.%s.%s", header, claims, "c2lnbmF0dXJlMTIz");
    cr_expect_eq(guard_count(text, "JWT"), 1);
    snprintf(text, sizeof text, "Bearer %s.%s.%s", claims, claims, "c2lnbmF0dXJlMTIz");
    cr_expect_eq(guard_count(text, "JWT"), 0);
    snprintf(text, sizeof text, "Bearer %s.%s", header, claims);
    cr_expect_eq(guard_count(text, "JWT"), 0);
}

Test(detectors, private_key_blocks_are_one_span) {
    char body[80];
    char text[600];
    guard_token("MII", 61, body);
    snprintf(
        text,
        sizeof text,
        "a\n-----BEGIN RSA PRIV"
        "ATE KEY-----\n%s\n%s\n-----END RSA PRIV"
        "ATE KEY-----\nb",
        body,
        body);
    aicp_guard_profile *profile = guard_profile("{\"secrets\":{\"action\":\"mask\"}}");
    aicp_guard_result *result = guard_result();
    guard_scan(profile, text, result);
    guard_expect_text(result, "a\n<PRIVATE_KEY>\nb");
    cr_expect_str_eq(aicp_guard_result_finding(result, 0)->preview, "***");
    snprintf(
        text,
        sizeof text,
        "the line -----BEGIN PRIV"
        "ATE KEY----- starts a key");
    guard_scan(profile, text, result);
    cr_expect_eq(aicp_guard_result_finding_count(result), 0);
    snprintf(text, sizeof text, "-----BEGIN PUBLIC KEY-----\n%s\n-----END PUBLIC KEY-----", body);
    guard_scan(profile, text, result);
    cr_expect_eq(aicp_guard_result_finding_count(result), 0);
    aicp_guard_result_free(result);
    aicp_guard_profile_free(profile);
}

Test(detectors, encoded_secrets_are_found_and_cover_the_payload) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char token[64];
    guard_token(
        "key gl"
        "pat-",
        20,
        token);
    char encoded[100] = "x ";
    size_t n = 2;
    for (size_t i = 0; i < 30; i += 3) {
        unsigned v = (unsigned char)token[i] << 16 | (unsigned char)token[i + 1] << 8 |
                     (unsigned char)token[i + 2];
        for (int k = 3; k >= 0; k--) {
            encoded[n++] = digits[v >> 6 * k & 63];
        }
    }
    memcpy(encoded + n, " y", 3);
    aicp_guard_profile *profile = guard_profile("{}");
    aicp_guard_result *result = guard_result();
    guard_scan(profile, encoded, result);
    guard_expect_text(result, "x <GITLAB_TOKEN> y");
    cr_expect_eq(aicp_guard_result_finding(result, 0)->decoded, 1);
    aicp_guard_result_free(result);
    aicp_guard_profile_free(profile);
}

Test(detectors, invisible_text_is_taken_out_and_joiners_stay) {
    aicp_guard_profile *profile = guard_profile("{}");
    aicp_guard_result *result = guard_result();
    guard_scan(profile, "he\xe2\x80\x8bllo \xf3\xa0\x81\xa8\xf3\xa0\x81\xa9 there", result);
    guard_expect_text(result, "hello  there");
    /* Persian with a joiner, a family emoji, the flag of Wales. */
    guard_scan(
        profile,
        "\xd9\x85\xdb\x8c\xe2\x80\x8c\xd8\xae\xd9\x88\xd8\xa7\xd9\x87\xd9\x85 "
        "\xf0\x9f\x91\xa8\xe2\x80\x8d\xf0\x9f\x91\xa9 \xf0\x9f\x8f\xb4\xf3\xa0\x81\xa7"
        "\xf3\xa0\x81\xa2\xf3\xa0\x81\xb7\xf3\xa0\x81\xac\xf3\xa0\x81\xb3\xf3\xa0\x81\xbf "
        "\xe2\x9d\xa4"
        "\xef\xb8\x8f",
        result);
    cr_expect_eq(aicp_guard_result_finding_count(result), 0);
    aicp_guard_result_free(result);
    aicp_guard_profile_free(profile);
}

Test(detectors, every_rule_is_described_and_ids_are_unique) {
    size_t count = aicp_guard_rule_count();
    cr_assert_gt(count, 40);
    for (size_t i = 0; i < count; i++) {
        const aicp_guard_rule *rule = aicp_guard_rule_at(i);
        cr_expect_gt(strlen(rule->description), 5, "%s", rule->id);
        cr_expect_lt(strlen(rule->id), 32, "%s", rule->id);
        cr_expect_lt(strlen(rule->type), 32, "%s", rule->id);
        for (size_t k = 0; k < i; k++) {
            cr_expect_str_neq(rule->id, aicp_guard_rule_at(k)->id);
        }
    }
    cr_expect_null(aicp_guard_rule_at(count));
}

Test(detectors, numbers_in_a_row_are_told_apart) {
    cr_expect_eq(guard_count("212-555-0187 212-555-0188 (212) 555-0189", "PHONE_NUMBER"), 3);
    cr_expect_eq(guard_count("+44 20 7946 0958 +44 20 7946 0959", "PHONE_NUMBER"), 2);
    cr_expect_eq(guard_count("541-58-0118 541-58-0119", "US_SSN"), 2);
    cr_expect_eq(guard_count("4111 1111 1111 1111, 5500-0000-0000-0004", "CREDIT_CARD"), 2);
}

Test(detectors, a_very_long_invisible_run_is_taken_out_whole) {
    enum { COUNT = 6000 };
    char *text = malloc(COUNT * 3 + 8);
    size_t n = 0;
    text[n++] = 'a';
    for (int i = 0; i < COUNT; i++) {
        memcpy(text + n, "\xe2\x80\x8b", 3);
        n += 3;
    }
    text[n++] = 'b';
    aicp_guard_profile *profile = guard_profile("{\"timeout_ms\":60000}");
    aicp_guard_result *result = guard_result();
    guard_scan_as(profile, text, n, AICP_GUARD_INPUT, AICP_GUARD_USER, NULL, result);
    guard_expect_text(result, "ab");
    free(text);
    aicp_guard_result_free(result);
    aicp_guard_profile_free(profile);
}
