# frozen_string_literal: true

# SPDX-License-Identifier: MIT
# NAT-PMP and PCP client. The library knows Linux only so far, and so does this recipe.
class Natpmpc < Formula
  desc "Open a port of the home router to this host (NAT-PMP, PCP)"
  homepage "https://example.org/natpmpc"
  url "https://example.org/natpmpc/natpmpc-0.1.0.tar.gz"
  sha256 "0000000000000000000000000000000000000000000000000000000000000000"
  license "MIT"

  depends_on "cmake" => :build
  depends_on :linux

  def install
    system "cmake", "-S", ".", "-B", "build", "-DNATPMPC_TESTS=OFF", "-DNATPMPC_EXAMPLES=OFF", *std_cmake_args
    system "cmake", "--build", "build"
    system "cmake", "--install", "build"
  end

  test do
    (testpath/"test.c").write <<~C
      #include <natpmpc.h>
      #include <string.h>
      int main(void) { return strcmp(natpmp_version(), NATPMPC_VERSION); }
    C
    system ENV.cc, "test.c", "-I#{include}", "-L#{lib}", "-lnatpmpc", "-o", "test"
    system "./test"
    assert_match version.to_s, shell_output("#{bin}/natpmp --version")
  end
end
